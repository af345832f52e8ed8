"""Tables of this package: users, their sessions, API tokens, login attempts, the audit log."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from app.store import RowId, UtcDateTime, metadata

users = Table(
    "users",
    metadata,
    Column("username", String(100), primary_key=True),
    Column("password_hash", Text),
    # Part of the id of every session; a new key ends all sessions of the user.
    Column("session_key", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # One of ROLES. The default is for users of a store that had no roles; new users get theirs.
    Column("role", String(10), nullable=False, server_default="admin"),
    # What the user chose; NULL for UTC, and for the theme of the browser.
    Column("time_zone", String(64)),
    Column("theme", String(8)),
)

# The sessions that are open. A session ends when its row is deleted.
user_sessions = Table(
    "user_sessions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column(
        "username",
        String(100),
        ForeignKey("users.username", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    # SHA-256 of the random part of the session's id.
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("started_at", UtcDateTime, nullable=False),
    # At most some minutes old.
    Column("seen_at", UtcDateTime, nullable=False),
    Column("address", String(45)),
    Column("browser", String(200)),
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
    # The projects that the token gives access to, as "2,3"; NULL for all. The ids of deleted
    # projects are never used again.
    Column("project_ids", String(500)),
    Column("expires_at", UtcDateTime),
    # At most some minutes older than the last use.
    Column("last_used_at", UtcDateTime),
    Column("created_by", String(200)),
    # The users whose memories the tools of MCP read with the token, a JSON list; NULL for none.
    Column("memory_users", Text),
)

# Who did what; rows are only added, and removed by age and number.
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("actor", String(200), nullable=False),
    Column("address", String(45)),
    Column("action", String(40), nullable=False),
    Column("target", String(200), nullable=False),
    Column("detail", String(1000), nullable=False),
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
