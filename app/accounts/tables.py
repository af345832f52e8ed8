"""Tables of this package: users, API tokens, and login attempts."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from app.store import UtcDateTime, metadata

users = Table(
    "users",
    metadata,
    Column("username", String(100), primary_key=True),
    Column("password_hash", Text),
    # Part of the id of every session; a new key ends all sessions of the user.
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

# How many passwords were tried for a name from a source. The row has the hashes of both. An empty
# name hash counts all names from the source; an empty source hash counts the name from all sources.
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
