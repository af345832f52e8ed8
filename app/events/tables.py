"""The tables of envelopes and events.

An **envelope** is the unit of delivery. It is stored once, scrubbed and compressed. An **event**
row refers to its envelope. It holds only the values that lists show, filter and count by; the
payload is read from the envelope.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    false,
)

from app.store import RowId, UtcDateTime, metadata, partial_index

# The envelopes that are still to be sent. The partial index on this condition stays small, however
# many envelopes have reached a final state.
OUTBOX = "state IN ('pending', 'retry')"
# The envelopes that Sentry refused, which every page that shows projects counts for each.
PARKED = "state = 'parked'"

# Envelopes of lines of logs alone, which go when they are read and sent.
ONLY_LOGS = "item_types = 'log'"

envelopes = Table(
    "envelopes",
    metadata,
    Column("id", RowId, primary_key=True),
    # Assigned on ingest. An envelope that is stored twice (recovered from an emergency file) is
    # therefore still a single row.
    Column("uid", String(32), nullable=False, unique=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("event_id", String(32), index=True),
    Column("item_types", String(500), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(200)),
    Column("received_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Column("size_bytes", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # When the next attempt is due; NULL where no waiting time applies.
    Column("next_at", UtcDateTime),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # 0: is sent first and is never sampled out (the first event of an issue, an envelope that a
    # person replayed). 1: all others.
    Column("priority", Integer, nullable=False, server_default="1"),
    Column("upstream_id", String(64)),
    # The instances that forwarded it, separated by commas. Two instances that forward to each other
    # stop by this list.
    Column("via", String(500)),
    # The address and user agent of the client, where the envelope asks for them: Sentry would use
    # those of this service.
    Column("caller_address", String(45)),
    Column("caller_user_agent", String(500)),
    Index(None, "state", "id"),
    # For the oldest envelopes of a project, which are removed first.
    Index(None, "project_id", "received_at", "id"),
    partial_index("ix_envelopes_outbox", "project_id", "priority", "id", where=OUTBOX),
    # With the state, since SQLite prefers an index with an equal column. An envelope that is
    # accepted and delivered never enters it.
    partial_index("ix_envelopes_logs", "state", "id", where=ONLY_LOGS),
    partial_index("ix_envelopes_parked", "state", "project_id", where=PARKED),
)

events = Table(
    "events",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("event_id", String(32), nullable=False),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), nullable=False),
    Column("envelope_id", RowId, ForeignKey("envelopes.id"), nullable=False),
    Column("level", String(16), nullable=False),
    Column("platform", String(64)),
    Column("logger", String(200)),
    Column("title", String(500), nullable=False),
    Column("culprit", String(500), nullable=False),
    Column("transaction", String(500)),
    Column("release", String(250)),
    Column("environment", String(64)),
    Column("timestamp", UtcDateTime, nullable=False),
    # The time that the client sent, where `timestamp` differs from it, and the reason for the
    # correction (`protocol/client_clock.py`).
    Column("client_timestamp", String(40)),
    Column("timestamp_corrected", String(16)),
    Column("received_at", UtcDateTime, nullable=False),
    Column("stored_at", UtcDateTime, nullable=False),
    Column("scrub_ms", Float, nullable=False),
    Column("scrubbed", JSON, nullable=False),
    Column("duplicates", Integer, nullable=False, default=0),
    # The name of the user's rule that ignored the event.
    Column("ignored_by", String(200)),
    # The grouping that assigned the event to its issue. No foreign key: the deletion of a grouping
    # would have to update all of its events.
    Column("grouping_id", RowId),
    # The hash of the affected user, empty without a user; NULL for events older than this column.
    Column("user_hash", String(32)),
    # Whether attachments of its envelope, or of other envelopes of the event, were removed.
    Column("attachments_removed", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("project_id", "event_id"),
    # For lists of a project and lists of an issue, newest first.
    Index(None, "project_id", "id"),
    Index(None, "issue_id", "id"),
    Index(None, "envelope_id"),
    Index(None, "received_at"),
)
