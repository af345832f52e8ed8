"""Tables: channels, rules, notifications, and one sending for each channel of a notification."""

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

from app.store import RowId, UtcDateTime, metadata

# What is still to be sent, however many notifications are settled.
UNSENT = "state IN ('pending', 'retry')"
# Recommended rules that all projects share; one of each.
IS_SHARED = "project_id IS NULL AND preset IS NOT NULL"

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
    # Since when every attempt has failed, and why the last one did; NULL while it works.
    Column("failing_since", UtcDateTime),
    Column("failure", String(300)),
)

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("id", Integer, primary_key=True),
    # NULL: of all projects.
    Column("project_id", Integer, ForeignKey("projects.id")),
    Column("kind", String(16), nullable=False),
    # Its name among the recommended rules; NULL for one that a person made. One of a project takes
    # the place of the one that all projects share.
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
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(200)),
    UniqueConstraint("project_id", "preset"),
    Index(
        "ix_alert_rules_shared_presets",
        "preset",
        unique=True,
        sqlite_where=text(IS_SHARED),
        postgresql_where=text(IS_SHARED),
    ),
)

# How a rule was found in a project. A rule of all projects has a row for each of them.
alert_rule_states = Table(
    "alert_rule_states",
    metadata,
    Column("rule_id", Integer, ForeignKey("alert_rules.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    # As it was evaluated last: unknown, ok, firing, no_data.
    Column("state", String(16), nullable=False),
    Column("value", Float),
    Column("detail", String(300)),
    Column("evaluated_at", UtcDateTime),
    Column("noticed_at", UtcDateTime),
    # How many issues matched within the cool-down; `held_issues` has them.
    Column("held", Integer, nullable=False),
    Index(None, "project_id"),
)

# Issues that matched within a rule's cool-down, named when that is over. Issues are no foreign key:
# one that goes is left out then.
held_issues = Table(
    "held_issues",
    metadata,
    Column("rule_id", Integer, ForeignKey("alert_rules.id", ondelete="CASCADE"), primary_key=True),
    Column("issue_id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("event_id", String(32)),
    Column("environment", String(64)),
    Column("release", String(250)),
    Index(None, "project_id"),
)

# When a rule that cools down per issue named one last.
noticed_issues = Table(
    "noticed_issues",
    metadata,
    Column("rule_id", Integer, ForeignKey("alert_rules.id", ondelete="CASCADE"), primary_key=True),
    Column("issue_id", RowId, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
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
    # Of the issue that it names first. Either may be gone since.
    Column("issue_id", RowId),
    Column("event_id", String(32)),
    # How many issues it is about; `notice_issues` has them, or the worst of them.
    Column("total", Integer, nullable=False, server_default="0"),
    Index(None, "project_id", "id"),
    Index(None, "at"),
)

# The issues that a notification names, as they were then, the worst first.
notice_issues = Table(
    "notice_issues",
    metadata,
    Column("notice_id", RowId, ForeignKey("notices.id", ondelete="CASCADE"), primary_key=True),
    # From 1 on.
    Column("position", Integer, primary_key=True),
    # Either may be gone since.
    Column("issue_id", RowId, nullable=False),
    Column("event_id", String(32)),
    Column("title", String(500), nullable=False),
    # Function, file and line, else its culprit.
    Column("place", String(500), nullable=False),
    Column("events", Integer, nullable=False),
    Column("users", Integer, nullable=False),
    Column("environment", String(64)),
    Column("release", String(250)),
    # Of one that came back: who resolved it, when and where, and where it was seen.
    Column("back", String(500)),
    # The first line of the exception behind it, where there is another one.
    Column("cause", String(300)),
    sqlite_with_rowid=False,
)

# A notification's way out by one channel: the row is queue, state and history at once.
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
