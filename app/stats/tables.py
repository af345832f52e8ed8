"""Tables that no declaration (:mod:`.additive`) creates: users, sessions, AI calls, releases."""

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
    # No foreign key, because the id refers to one of two tables. Rows of a removed subject expire
    # like the others.
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("of_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_hash", String(32), primary_key=True),
    # The first day, and the last hour, in which the user was affected; counted since 1970. 0 for
    # users from before these were recorded.
    Column("first_day", Integer, nullable=False),
    Column("last_hour", Integer, nullable=False),
    # The last hour before that one; NULL if there is no other. RETURNING passes it on, so no query
    # is needed before the update.
    Column("hour_before", Integer),
    sqlite_with_rowid=False,
)

affected_days = Table(
    "affected_days",
    metadata,
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("of_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("users", Integer, nullable=False),
    # Expiry finds old rows by this index.
    Index(None, "day"),
    sqlite_with_rowid=False,
)

# The environments of projects that had events, up to MAX_ENVIRONMENTS of a project
# (`environments.py`).
project_environments = Table(
    "project_environments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    # Empty for events without an environment.
    Column("name", String(64), nullable=False),
    UniqueConstraint("project_id", "name"),
)

# Events of an environment by the hour, and by the day after the hours are not kept any more.
# Numbers since 1970.
environment_hours = Table(
    "environment_hours",
    metadata,
    Column("environment_id", Integer, ForeignKey("project_environments.id"), primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("events", Integer, nullable=False),
    Index(None, "hour"),
    sqlite_with_rowid=False,
)
environment_days = Table(
    "environment_days",
    metadata,
    Column("environment_id", Integer, ForeignKey("project_environments.id"), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("events", Integer, nullable=False),
    Index(None, "day"),
    sqlite_with_rowid=False,
)

# The last event that is counted in an environment. One row, with the id 1.
environments_counted = Table(
    "environments_counted",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("event_id", RowId, nullable=False),
)

session_users = Table(
    "session_users",
    metadata,
    Column("series_id", Integer, ForeignKey("session_series.id"), primary_key=True),
    # Only a hash, because the user itself is personal data.
    Column("user_hash", BigInteger, primary_key=True, autoincrement=False),
    # 0 remains after an update named another user for the session.
    Column("sessions", BigInteger, nullable=False),
    Column("crashed", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

known_sessions = Table(
    "known_sessions",
    metadata,
    # Hash of project, release, environment and id, with 63 bits. Among ten million sessions, the
    # chance that two have the same hash is 1 in 200,000.
    Column("session_hash", RowId, primary_key=True, autoincrement=False),
    # No foreign key: otherwise removing a series would read all of these rows needlessly.
    Column("series_id", Integer, nullable=False),
    Column("minute", Integer, nullable=False),
    # One of the outcomes in app.protocol.session.
    Column("outcome", SmallInteger, nullable=False),
    Column("user_hash", BigInteger, nullable=False),
    # The values before the last update that changed the row, NULL after the first one. RETURNING
    # passes them on, so no query is needed before the update.
    Column("outcome_before", SmallInteger),
    Column("user_before", BigInteger),
    Index(None, "minute"),
)

ai_calls = Table(
    "ai_calls",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    # The envelope of the call. It may be removed sooner than the call.
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
    # A NULL does not equal another NULL. So a call without ids is always a new one.
    UniqueConstraint("project_id", "trace_id", "span_id"),
    Index(None, "project_id", "id"),
    # Expiry finds old rows by this index.
    Index(None, "received_at"),
)

VERSION_LENGTH = 250

releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("version", String(VERSION_LENGTH), nullable=False),
    # By this service's clock. NULL while the release is only announced.
    Column("first_seen", UtcDateTime),
    Column("last_seen", UtcDateTime),
    # NULL if the release was not announced.
    Column("announced_at", UtcDateTime),
    Column("announced_by", String(200)),
    # Whether an event named the release. If not, only sessions, transactions and logs did.
    Column("has_events", Boolean, nullable=False, server_default=false()),
    # Whether a line of a log named it.
    Column("has_logs", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("project_id", "version"),
    Index(None, "project_id", "id"),
    # An id is never used again: ids define the order of releases, and issues refer to them.
    sqlite_autoincrement=True,
)
