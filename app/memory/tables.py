"""Tables of this package: memories with their users and changes, and removals that an index has not
done yet.
"""

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
WORDLESS = "words IS NULL"
OF_AGENT, OF_RUN = "agent_id IS NOT NULL", "run_id IS NOT NULL"

# A row is deleted with the last memory of its user.
memory_users = Table(
    "memory_users",
    metadata,
    Column("user_id", String(200), primary_key=True),
    # Grows with every change of one of the user's memories. A process compares its cache with it.
    # It is in microseconds since 1970, so it also grows if the row is deleted and created again.
    Column("version", BigInteger, nullable=False),
    Column("memories", Integer, nullable=False),
)

memories = Table(
    "memories",
    metadata,
    Column("seq", RowId, primary_key=True),
    # A UUID made from scope and content, so the same content of a scope gets the same id.
    Column("id", String(36), nullable=False, unique=True),
    Column("user_id", String(200), ForeignKey("memory_users.user_id"), nullable=False),
    Column("agent_id", String(200)),
    Column("run_id", String(200)),
    # SHA-256 of agent, run and normalised content.
    Column("digest", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("kind", String(64)),
    Column("tags", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    # A vector of unit length as 32-bit floats, and the model that made it.
    Column("vector", LargeBinary, nullable=False),
    Column("model", String(100), nullable=False),
    # Hashes of the words of content and tags, see keywords.py; NULL until they are made.
    Column("words", LargeBinary),
    # The user's version at the last change of this memory.
    Column("version", BigInteger, nullable=False),
    # The identity of the index that has this version; NULL for none.
    Column("indexed_in", String(100)),
    UniqueConstraint("user_id", "digest"),
    Index(None, "user_id", "seq"),
    Index(None, "user_id", "version"),
    # For memories that an index still lacks, and memories that another model must embed.
    Index(None, "indexed_in", "user_id"),
    Index(None, "model"),
    partial_index("ix_memories_expires_at", "expires_at", where=EXPIRES),
    partial_index("ix_memories_wordless", "seq", where=WORDLESS),
    partial_index("ix_memories_agent", "user_id", "agent_id", "seq", where=OF_AGENT),
    partial_index("ix_memories_run", "user_id", "run_id", "seq", where=OF_RUN),
)

# The last changes of each memory. They are deleted with the memory, and after some time.
memory_changes = Table(
    "memory_changes",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("memory_id", String(36), ForeignKey("memories.id"), nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    # A user, a token or a command, as in the audit log.
    Column("actor", String(200), nullable=False),
    # The changed fields with the values that they had before.
    Column("before", JSON, nullable=False),
)

# Memories that were removed here and must be removed from an index too. Then the row is deleted.
memory_removals = Table(
    "memory_removals",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("index_name", String(100), primary_key=True),
    Column("removed_at", UtcDateTime, nullable=False, index=True),
)
