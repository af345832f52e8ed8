"""Tables of this package: where envelopes go, the ledger of every attempt, what is owed upstream.

The way of an envelope itself (state, when it is due, how often it was tried) stands on its row in
``envelopes``.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    false,
)

from app.store import RowId, UtcDateTime, metadata

# One for each project that has a DSN. What its forwarder learned outlives the process: limits,
# circuit, probe.
destinations = Table(
    "destinations",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    # NULL for project 1, whose DSN is a setting.
    Column("dsn", Text),
    # Of the DSN that the state below was learned with; another DSN begins anew.
    Column("dsn_hash", String(64)),
    Column("paused_at", UtcDateTime),
    Column("open_since", UtcDateTime),
    Column("cause", String(500)),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("probe_at", UtcDateTime),
    # Category to the moment its limit ends, as ISO text; the empty category means all of them.
    Column("limits", JSON, nullable=False),
    Column("delivered_at", UtcDateTime),
    # Whether the DSN was checked when it was set; those of earlier versions were not, and go on.
    Column("checked", Boolean, nullable=False, server_default=false()),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("envelope_id", RowId, ForeignKey("envelopes.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("ms", Float, nullable=False),
    Column("status", Integer),
    Column("error", String(500)),
    # What became of the envelope by this attempt, and when the next one is due.
    Column("state", String(16), nullable=False),
    Column("next_at", UtcDateTime),
    Column("worker", String(200), nullable=False),
    Index(None, "envelope_id", "id"),
    Index(None, "at"),
)

# What was not sent on purpose and Sentry has not been told of yet.
client_reports = Table(
    "client_reports",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    Column("reason", String(64), primary_key=True),
    Column("category", String(64), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)

# How many events of an issue were sent in an hour, for DELIVERY_MAX_PER_ISSUE_PER_HOUR.
issue_deliveries = Table(
    "issue_deliveries",
    metadata,
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), primary_key=True),
    Column("hour", UtcDateTime, primary_key=True),
    Column("sent", Integer, nullable=False),
)

delivery_actions = Table(
    "delivery_actions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    # A user's name or a token's.
    Column("actor", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    # No foreign keys: it is history, and outlives what it was done to.
    Column("envelope_id", RowId, index=True),
    Column("project_id", Integer),
    # The filter of an action on many, as text by name; empty for one envelope or project.
    Column("filter", JSON, nullable=False),
    Column("envelopes", Integer, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
