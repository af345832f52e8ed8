"""Tables of this package: destinations, the ledger of attempts, client reports and counters.

The delivery state of an envelope is in its row in ``envelopes``: its state, when it is due and how
often it was tried.
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

# One row for each project that has a DSN. The row also keeps the rate limits, the circuit and the
# next probe, so they survive the process.
destinations = Table(
    "destinations",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    # NULL for project 1, whose DSN is a setting.
    Column("dsn", Text),
    # Hash of the DSN that the columns below belong to. After a change of the DSN they are ignored.
    Column("dsn_hash", String(64)),
    Column("paused_at", UtcDateTime),
    Column("open_since", UtcDateTime),
    Column("cause", String(500)),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("probe_at", UtcDateTime),
    # Category to the end of its rate limit, as ISO text. The empty category means all categories.
    Column("limits", JSON, nullable=False),
    Column("delivered_at", UtcDateTime),
    # Whether the DSN was checked when it was set. DSNs of earlier versions were not checked, and
    # they stay valid.
    Column("checked", Boolean, nullable=False, server_default=false()),
    # By which Sentry is asked whether it shows an event; NULL for project 1, which has settings.
    Column("api_token", Text),
    Column("api_url", Text),
    Column("api_org", String(100)),
    # What was accepted since then was certainly accepted by this DSN; NULL if there was no other.
    Column("dsn_since", UtcDateTime),
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
    # The envelope's state after this attempt, and when the next attempt is due.
    Column("state", String(16), nullable=False),
    Column("next_at", UtcDateTime),
    Column("worker", String(200), nullable=False),
    Index(None, "envelope_id", "id"),
    Index(None, "at"),
)

# Counts of items that were not sent on purpose and are not yet reported to Sentry.
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
    # The name of a user or of a token.
    Column("actor", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    # There are no foreign keys: the history is kept after its envelope or project is deleted.
    Column("envelope_id", RowId, index=True),
    Column("project_id", Integer),
    # The filter of an action on many envelopes, as text by name. It is empty for an action on one
    # envelope or project.
    Column("filter", JSON, nullable=False),
    Column("envelopes", Integer, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
