"""Tables that no declaration (:mod:`.additive`) makes: users, sessions, single calls, releases."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    false,
)

from app.store import RowId, UtcDateTime, metadata

affected_users = Table(
    "affected_users",
    metadata,
    # No foreign key, since it is one of two; what is left of a subject grows old like the rest.
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("of_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_hash", String(32), primary_key=True),
    # Days since 1970, 0 where it was before they were noted.
    Column("first_day", Integer, nullable=False),
    Column("last_day", Integer, nullable=False),
    sqlite_with_rowid=False,
)

affected_days = Table(
    "affected_days",
    metadata,
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("of_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("users", Integer, nullable=False),
    # What grows old is found by it.
    Index(None, "day"),
    sqlite_with_rowid=False,
)

session_users = Table(
    "session_users",
    metadata,
    Column("series_id", Integer, ForeignKey("session_series.id"), primary_key=True),
    # Never the user as such, which is personal data.
    Column("user_hash", BigInteger, primary_key=True, autoincrement=False),
    # None are left where another user of a session is named.
    Column("sessions", BigInteger, nullable=False),
    Column("crashed", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

known_sessions = Table(
    "known_sessions",
    metadata,
    # Of project, release, environment and id: 63 bits, so that of ten million sessions two are
    # taken for one with a chance of 1 in 200,000.
    Column("session_hash", RowId, primary_key=True, autoincrement=False),
    # No foreign key: whoever removes a series would have all of these rows read, for nothing.
    Column("series_id", Integer, nullable=False),
    Column("minute", Integer, nullable=False),
    # One of those of app.protocol.session.
    Column("outcome", SmallInteger, nullable=False),
    Column("user_hash", BigInteger, nullable=False),
    # What the last update that changed it found, NULL where it was the first. RETURNING tells it:
    # what is to be moved is known without asking before.
    Column("outcome_before", SmallInteger),
    Column("user_before", BigInteger),
    Index(None, "minute"),
)

ai_calls = Table(
    "ai_calls",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    # Of the envelope it came in, which may be gone sooner.
    Column("envelope_uid", String(32), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("operation", String(64), nullable=False),
    Column("model", String(120), nullable=False),
    Column("answered_by", String(120)),
    Column("provider", String(120)),
    Column("agent", String(120)),
    Column("tool", String(120)),
    Column("release", String(250), nullable=False),
    Column("environment", String(64), nullable=False),
    Column("ms", Float),
    Column("failed", Boolean, nullable=False),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("total_tokens", BigInteger),
    Column("trace_id", String(32)),
    Column("span_id", String(16)),
    # NULLs are alone with nothing: a call without ids is another one each time.
    UniqueConstraint("project_id", "trace_id", "span_id"),
    Index(None, "project_id", "id"),
    # What grows old is found by it.
    Index(None, "received_at"),
)

VERSION_LENGTH = 250

releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("version", String(VERSION_LENGTH), nullable=False),
    # By this service's clock; NULL while it is only announced.
    Column("first_seen", UtcDateTime),
    Column("last_seen", UtcDateTime),
    # NULL where it appeared by itself.
    Column("announced_at", UtcDateTime),
    Column("announced_by", String(200)),
    # Whether an event named it, or only sessions and transactions did.
    Column("has_events", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("project_id", "version"),
    Index(None, "project_id", "id"),
    # No id twice: the ids are the order, and issues remember them.
    sqlite_autoincrement=True,
)
