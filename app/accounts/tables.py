"""Tables of this package: who may log in, which tokens there are, who tried passwords."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from app.store import UtcDateTime, metadata

users = Table(
    "users",
    metadata,
    Column("username", String(100), primary_key=True),
    Column("password_hash", Text),
    # Part of every session; a new one ends them all.
    Column("session_key", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("prefix", String(16), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("scopes", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)

# How many passwords were tried for a name from a source. Both are kept as hashes; an empty one
# stands for all of them: of an address whatever name it tries, of a name wherever it is tried.
login_attempts = Table(
    "login_attempts",
    metadata,
    Column("name_hash", String(64), primary_key=True),
    Column("source_hash", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("locked_until", UtcDateTime),
    Index(None, "last_at"),
)
