"""Tables of this package: memories, who has how many, and what an index has still to forget."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from app.store import RowId, UtcDateTime, metadata, partial_index

EXPIRES = "expires_at IS NOT NULL"

# A row goes with the last memory of its user.
memory_users = Table(
    "memory_users",
    metadata,
    Column("user_id", String(200), primary_key=True),
    # Grows with every change of one of the user's memories; what is kept in memory is held against
    # it. Microseconds since 1970, so that it grows beyond the row's own life, too.
    Column("version", BigInteger, nullable=False),
    Column("memories", Integer, nullable=False),
)

memories = Table(
    "memories",
    metadata,
    Column("seq", RowId, primary_key=True),
    # UUID; made of user and content, so that the same content gets the same one.
    Column("id", String(36), nullable=False, unique=True),
    Column("user_id", String(200), ForeignKey("memory_users.user_id"), nullable=False),
    # SHA-256 of the normalised content.
    Column("digest", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("kind", String(64)),
    Column("tags", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    # 32-bit floats of unit length, and whose space they are of.
    Column("vector", LargeBinary, nullable=False),
    Column("model", String(100), nullable=False),
    # The user's version as of the last change.
    Column("version", BigInteger, nullable=False),
    # The index that holds this version, by its identity; NULL for none.
    Column("indexed_in", String(100)),
    UniqueConstraint("user_id", "digest"),
    Index(None, "user_id", "seq"),
    Index(None, "user_id", "version"),
    # What an index still lacks, and what another model has to read.
    Index(None, "indexed_in", "user_id"),
    Index(None, "model"),
    partial_index("ix_memories_expires_at", "expires_at", where=EXPIRES),
)

# What was removed here and has to go from an index, too; a row goes when it has.
memory_removals = Table(
    "memory_removals",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("index_name", String(100), primary_key=True),
    Column("removed_at", UtcDateTime, nullable=False, index=True),
)
