"""Tables of this package: counts of requests, sessions, users, metrics and AI calls; releases."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    Float,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
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

session_series = Table(
    "session_series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("day", Date, nullable=False),
    Column("release", String(250), nullable=False),
    # Empty where there is none.
    Column("environment", String(64), nullable=False),
    # How many rows of users it has.
    Column("users", Integer, nullable=False, server_default=text("0")),
    # Whether its minutes are rolled up to hours.
    Column("rolled", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("project_id", "day", "release", "environment"),
    # What grows old is found by it.
    Index(None, "rolled", "day"),
)

session_counts = Table(
    "session_counts",
    metadata,
    Column("series_id", Integer, ForeignKey("session_series.id"), primary_key=True),
    # Since 1970; an hour's first one in the end.
    Column("minute", Integer, primary_key=True, autoincrement=False),
    # All of them; those that went well are what the others leave.
    Column("sessions", BigInteger, nullable=False),
    Column("errored", BigInteger, nullable=False),
    Column("abnormal", BigInteger, nullable=False),
    Column("crashed", BigInteger, nullable=False),
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

timing_series = Table(
    "timing_series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("day", Date, nullable=False),
    Column("transaction", String(200), nullable=False),
    # Empty where there is none: NULLs would not be alone with anything.
    Column("release", String(250), nullable=False),
    Column("environment", String(64), nullable=False),
    # Whether its minutes are rolled up to hours.
    Column("rolled", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("project_id", "day", "transaction", "release", "environment"),
    # What grows old is found by it.
    Index(None, "rolled", "day"),
)

timings = Table(
    "timings",
    metadata,
    Column("series_id", Integer, ForeignKey("timing_series.id"), primary_key=True),
    # Since 1970, a quarter of what a time takes as text on SQLite; an hour's first one in the end.
    Column("minute", Integer, primary_key=True, autoincrement=False),
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    Column("requests", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    sqlite_with_rowid=False,
)

metric_series = Table(
    "metric_series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("day", Date, nullable=False),
    Column("name", String(200), nullable=False),
    Column("type", String(12), nullable=False),
    # Empty where there is none, as the next two: NULLs would not be alone with anything.
    Column("unit", String(40), nullable=False),
    Column("release", String(250), nullable=False),
    Column("environment", String(64), nullable=False),
    # Whether its minutes are rolled up to hours.
    Column("rolled", Boolean, nullable=False, server_default=false()),
    UniqueConstraint(
        "project_id",
        "day",
        "name",
        "type",
        "unit",
        "release",
        "environment",
        name="uq_metric_series_day",  # With all columns it is longer than PostgreSQL's names are.
    ),
    # What grows old is found by it.
    Index(None, "rolled", "day"),
)

metric_points = Table(
    "metric_points",
    metadata,
    Column("series_id", Integer, ForeignKey("metric_series.id"), primary_key=True),
    # Since 1970; an hour's first one in the end.
    Column("minute", Integer, primary_key=True, autoincrement=False),
    Column("quantity", BigInteger, nullable=False),
    Column("sum", Double, nullable=False),
    Column("least", Double, nullable=False),
    Column("most", Double, nullable=False),
    Column("last", Double, nullable=False),
    # Seconds since 1970.
    Column("last_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

metric_buckets = Table(
    "metric_buckets",
    metadata,
    Column("series_id", Integer, ForeignKey("metric_series.id"), primary_key=True),
    Column("minute", Integer, primary_key=True, autoincrement=False),
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    Column("quantity", BigInteger, nullable=False),
    sqlite_with_rowid=False,
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

ai_series = Table(
    "ai_series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("day", Date, nullable=False, index=True),
    Column("kind", String(8), nullable=False),
    Column("operation", String(64), nullable=False),
    # Empty where there is none: NULLs would not be alone with anything.
    Column("model", String(120), nullable=False),
    Column("release", String(250), nullable=False),
    Column("environment", String(64), nullable=False),
    UniqueConstraint(
        "project_id",
        "day",
        "kind",
        "operation",
        "model",
        "release",
        "environment",
        name="uq_ai_series",
    ),
)

ai_hours = Table(
    "ai_hours",
    metadata,
    Column("series_id", Integer, ForeignKey("ai_series.id"), primary_key=True),
    # Since 1970.
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    Column("calls", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("total_tokens", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

item_counts = Table(
    "item_counts",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    # One of ITEM_TYPES, or OTHER.
    Column("item_type", String(40), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

client_losses = Table(
    "client_losses",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    # As "name version".
    Column("client", String(100), primary_key=True),
    Column("reason", String(64), primary_key=True),
    Column("category", String(64), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    sqlite_with_rowid=False,
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
