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
)

from app.store import RowId, UtcDateTime, metadata, partial_index

# The sendings that are still to be sent. Their index stays small, however many are delivered.
UNSENT = "state IN ('pending', 'retry')"
# The length of the name of an incident.
MAX_INCIDENT = 80
# Recommended rules that all projects share. Each of them exists once.
IS_SHARED = "project_id IS NULL AND preset IS NOT NULL"

alert_channels = Table(
    "alert_channels",
    metadata,
    Column("id", Integer, primary_key=True),
    # One of KINDS.
    Column("kind", String(16), nullable=False),
    Column("name", String(100), nullable=False),
    # A URL or mail addresses. A URL is secret: its path may be its only protection.
    Column("address", Text, nullable=False),
    # The secret that signs the messages of a webhook. NULL for other kinds.
    Column("secret", Text),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(200)),
    # What a person wrote in place of the ready-made template of its kind.
    Column("template", Text),
    # Since when every attempt has failed, and why the last one failed. NULL while it works.
    Column("failing_since", UtcDateTime),
    Column("failure", String(300)),
)

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("id", Integer, primary_key=True),
    # NULL: the rule is for all projects.
    Column("project_id", Integer, ForeignKey("projects.id")),
    Column("kind", String(16), nullable=False),
    # Its name among the recommended rules. NULL for a rule that a person made. A project's own
    # recommended rule replaces the shared one in this project.
    Column("preset", String(32)),
    # Empty: pages show the label of its kind.
    Column("name", String(200), nullable=False),
    Column("enabled", Boolean, nullable=False),
    # In the unit of its kind. This and the next two columns are NULL if the kind has no such field.
    Column("threshold", Float),
    Column("minimum", Integer),
    Column("window_minutes", Integer),
    Column("cooldown_minutes", Integer, nullable=False),
    # Name of a filter to its value.
    Column("filters", JSON, nullable=False),
    # NULL: every enabled channel.
    Column("channel_ids", JSON(none_as_null=True)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(200)),
    UniqueConstraint("project_id", "preset"),
    partial_index("ix_alert_rules_shared_presets", "preset", where=IS_SHARED, unique=True),
)

# The last evaluation of a rule in a project. A rule for all projects has a row for each project.
alert_rule_states = Table(
    "alert_rule_states",
    metadata,
    Column("rule_id", Integer, ForeignKey("alert_rules.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    # The result of the last evaluation: unknown, ok, firing or no_data.
    Column("state", String(16), nullable=False),
    Column("value", Float),
    Column("detail", String(300)),
    Column("evaluated_at", UtcDateTime),
    Column("noticed_at", UtcDateTime),
    # How many issues matched during the cool-down. They are in `held_issues`.
    Column("held", Integer, nullable=False),
    Index(None, "project_id"),
)

# Issues that matched during a rule's cool-down. A notification names them when it is over. The
# issue is not a foreign key: an issue that was deleted meanwhile is left out.
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

# For rules with a cool-down for each issue: when the rule last named an issue.
noticed_issues = Table(
    "noticed_issues",
    metadata,
    Column("rule_id", Integer, ForeignKey("alert_rules.id", ondelete="CASCADE"), primary_key=True),
    Column("issue_id", RowId, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)

# The environments of monitors that a rule named: when it last said that one is failing, and whether
# it has not said since that it is ok again.
noticed_monitors = Table(
    "noticed_monitors",
    metadata,
    Column("rule_id", Integer, ForeignKey("alert_rules.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "state_id", RowId, ForeignKey("monitor_states.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("at", UtcDateTime, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Index(None, "state_id"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", RowId, primary_key=True),
    # 32 hex digits. With it a recipient can recognise a notification that arrives twice.
    Column("uid", String(32), nullable=False, unique=True),
    # NULL for a test notification.
    Column("project_id", Integer, ForeignKey("projects.id")),
    Column("rule_id", Integer, ForeignKey("alert_rules.id", ondelete="SET NULL"), index=True),
    # The kind of its rule, or "test".
    Column("kind", String(16), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("title", String(300), nullable=False),
    Column("text", Text, nullable=False),
    # The issue that it names first, and its event. Both may have been removed since.
    Column("issue_id", RowId),
    Column("event_id", String(32)),
    # How many issues it is about. They, or the worst of them, are in `notice_issues`.
    Column("total", Integer, nullable=False, server_default="0"),
    # The incident that it opens or closes. NULL for notifications of older versions.
    Column("incident", String(MAX_INCIDENT)),
    Index(None, "project_id", "id"),
    Index(None, "at"),
)

# The issues that a notification names, with their data of that time, the worst first.
notice_issues = Table(
    "notice_issues",
    metadata,
    Column("notice_id", RowId, ForeignKey("notices.id", ondelete="CASCADE"), primary_key=True),
    # Starts at 1.
    Column("position", Integer, primary_key=True),
    # The issue and the event may have been removed since.
    Column("issue_id", RowId, nullable=False),
    Column("event_id", String(32)),
    Column("title", String(500), nullable=False),
    # Function, file and line; if they are not known, the culprit.
    Column("place", String(500), nullable=False),
    Column("events", Integer, nullable=False),
    Column("users", Integer, nullable=False),
    Column("environment", String(64)),
    Column("release", String(250)),
    # For a regression: who resolved the issue, when and where, and where it was seen again.
    Column("back", String(500)),
    # The first line of the exception that caused this one, if there is another one.
    Column("cause", String(300)),
    # For the notifications that name an event.
    Index(None, "event_id"),
    sqlite_with_rowid=False,
)

# The incidents that are open at a receiver, with the issues that have to be resolved before they
# are closed.
open_incidents = Table(
    "open_incidents",
    metadata,
    Column(
        "channel_id", Integer, ForeignKey("alert_channels.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("incident", String(MAX_INCIDENT), primary_key=True),
    # An issue that was removed since closes nothing: the row goes with the notification.
    Column("issue_id", RowId, primary_key=True),
    # The last notification about it.
    Column("notice_id", RowId, ForeignKey("notices.id", ondelete="CASCADE"), nullable=False),
    Index(None, "issue_id"),
    Index(None, "notice_id"),
    sqlite_with_rowid=False,
)

# The sending of a notification by one channel. The row is queue, state and history at once.
notice_sendings = Table(
    "notice_sendings",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("notice_id", RowId, ForeignKey("notices.id", ondelete="CASCADE"), nullable=False),
    Column("channel_id", Integer, ForeignKey("alert_channels.id", ondelete="SET NULL")),
    # The channel's kind and name at that time. They stay when the channel is deleted.
    Column("channel_kind", String(16), nullable=False),
    Column("channel_name", String(100), nullable=False),
    # pending, retry, delivered, parked (a later attempt would fail too), expired or discarded.
    Column("state", String(16), nullable=False),
    Column("reason", String(300)),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime),
    # The worker that has claimed it, named as in leases.
    Column("taken_by", String(100)),
    Column("settled_at", UtcDateTime),
    UniqueConstraint("notice_id", "channel_id"),
    Index(None, "channel_id"),
    partial_index("ix_notice_sendings_unsent", "next_at", where=UNSENT),
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
    # HTTP or SMTP status.
    Column("status", Integer),
    Column("error", String(300)),
    Column("state", String(16), nullable=False),
    Column("next_at", UtcDateTime),
    Index(None, "sending_id", "id"),
)
