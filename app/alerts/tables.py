"""Tables of this package: channels, rules, notices, and each notice's way out by each channel."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from app.db import UtcDateTime, metadata
from app.events.tables import RowId

# What is still to be sent, however many notices are settled.
UNSENT = "state IN ('pending', 'retry')"

alert_channels = Table(
    "alert_channels",
    metadata,
    Column("id", Integer, primary_key=True),
    # One of KINDS.
    Column("kind", String(16), nullable=False),
    Column("name", String(100), nullable=False),
    # A URL or mail addresses. A URL's path may be all that keeps others from using it: secret.
    Column("address", Text, nullable=False),
    # Signs what a webhook is sent; NULL for the others.
    Column("secret", Text),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(200)),
)

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    # Its name among those that a project has from the start; NULL for one that a person made.
    Column("preset", String(32)),
    # Empty: it is called as its kind is.
    Column("name", String(200), nullable=False),
    Column("enabled", Boolean, nullable=False),
    # In the unit of its kind; NULL where that has none, as the next two.
    Column("threshold", Float),
    Column("minimum", Integer),
    Column("window_minutes", Integer),
    Column("cooldown_minutes", Integer, nullable=False),
    # Name of a filter to its value.
    Column("filters", JSON, nullable=False),
    # NULL: by every channel that is on.
    Column("channel_ids", JSON(none_as_null=True)),
    # As it was evaluated last: unknown, ok, firing, no_data.
    Column("state", String(16), nullable=False),
    Column("value", Float),
    Column("detail", String(300)),
    Column("evaluated_at", UtcDateTime),
    Column("noticed_at", UtcDateTime),
    # What matched within the cool-down and is told when that is over, and the first of it.
    Column("held", Integer, nullable=False),
    Column("held_issue_id", RowId),
    Column("held_event_id", String(32)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(200)),
    UniqueConstraint("project_id", "preset"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", RowId, primary_key=True),
    # For those who get one twice to tell, 32 hex digits.
    Column("uid", String(32), nullable=False, unique=True),
    # NULL for a test.
    Column("project_id", Integer, ForeignKey("projects.id")),
    Column("rule_id", Integer, ForeignKey("alert_rules.id", ondelete="SET NULL"), index=True),
    # The kind of its rule, or "test".
    Column("kind", String(16), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("title", String(300), nullable=False),
    Column("text", Text, nullable=False),
    # Either may be gone since.
    Column("issue_id", RowId),
    Column("event_id", String(32)),
    Index(None, "project_id", "id"),
    Index(None, "at"),
)

# A notice's way out by one channel: the row is queue, state and history at once.
notice_sendings = Table(
    "notice_sendings",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("notice_id", RowId, ForeignKey("notices.id", ondelete="CASCADE"), nullable=False),
    Column("channel_id", Integer, ForeignKey("alert_channels.id", ondelete="SET NULL")),
    # As it was, for when the channel is gone.
    Column("channel_kind", String(16), nullable=False),
    Column("channel_name", String(100), nullable=False),
    # pending, retry, delivered, parked (no time mends it), expired, discarded.
    Column("state", String(16), nullable=False),
    Column("reason", String(300)),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime),
    # Who tries it at the moment, as in leases.
    Column("taken_by", String(100)),
    Column("settled_at", UtcDateTime),
    UniqueConstraint("notice_id", "channel_id"),
    Index(None, "channel_id"),
    Index(
        "ix_notice_sendings_unsent",
        "next_at",
        sqlite_where=text(UNSENT),
        postgresql_where=text(UNSENT),
    ),
)

notice_attempts = Table(
    "notice_attempts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column(
        "sending_id", RowId, ForeignKey("notice_sendings.id", ondelete="CASCADE"), nullable=False
    ),
    Column("at", UtcDateTime, nullable=False),
    Column("ms", Float, nullable=False),
    # Of HTTP or SMTP.
    Column("status", Integer),
    Column("error", String(300)),
    Column("state", String(16), nullable=False),
    Column("next_at", UtcDateTime),
    Index(None, "sending_id", "id"),
)
