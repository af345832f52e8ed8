"""Tables of this package.

An **envelope** is the unit that is delivered: stored once, scrubbed and compressed. An **event**
row points at it and carries only what lists show, filter and count by; the payload is read from
the envelope.
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
    text,
)

from app.store import RowId, UtcDateTime, metadata

# What is still to be sent, however many envelopes are settled.
OUTBOX = "state IN ('pending', 'retry')"

envelopes = Table(
    "envelopes",
    metadata,
    Column("id", RowId, primary_key=True),
    # Given at the door, so that an envelope taken in twice (from an emergency file) is one row.
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
    # When it is due; NULL where it waits for nothing.
    Column("next_at", UtcDateTime),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # 0 goes first and is never sampled out (an issue's first event, what a person replayed), else
    # 1.
    Column("priority", Integer, nullable=False, server_default="1"),
    Column("upstream_id", String(64)),
    # The instances it came through, separated by commas, so that two that point at each other stop.
    Column("via", String(500)),
    # Of who sent it, where it asks for them: Sentry would take ours.
    Column("caller_address", String(45)),
    Column("caller_user_agent", String(500)),
    Index(None, "state", "id"),
    # The oldest of a project, which go first.
    Index(None, "project_id", "received_at", "id"),
    Index(
        "ix_envelopes_outbox",
        "project_id",
        "priority",
        "id",
        sqlite_where=text(OUTBOX),
        postgresql_where=text(OUTBOX),
    ),
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
    # What the client said where `timestamp` is not that, and why (`protocol/client_clock.py`).
    Column("client_timestamp", String(40)),
    Column("timestamp_corrected", String(16)),
    Column("received_at", UtcDateTime, nullable=False),
    Column("stored_at", UtcDateTime, nullable=False),
    Column("scrub_ms", Float, nullable=False),
    Column("scrubbed", JSON, nullable=False),
    Column("duplicates", Integer, nullable=False, default=0),
    # The name of the user's rule that said so.
    Column("ignored_by", String(200)),
    # Why it is in its issue. No foreign key: a grouping that goes would have all of its events
    # written.
    Column("grouping_id", RowId),
    # Of the user it met, empty without one; NULL for events older than this column.
    Column("user_hash", String(32)),
    # Whether files that came with it, or beside it, are no longer kept.
    Column("attachments_removed", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("project_id", "event_id"),
    # Lists of a project, and of an issue, newest first.
    Index(None, "project_id", "id"),
    Index(None, "issue_id", "id"),
    Index(None, "envelope_id"),
    Index(None, "received_at"),
)
