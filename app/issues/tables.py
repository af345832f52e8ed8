"""Tables of this package: the issues, what became of them, and their counts."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from app.protocol.feedback import MAX_EMAIL, MAX_NAME, MAX_SOURCE, MAX_URL
from app.store import RowId, UtcDateTime, metadata

# An issue that is DELETED is gone for everyone but retention, which removes what is left of it; one
# that is MERGED only leads to the issue that it became part of.
STATUSES = ("unresolved", "resolved", "ignored")
DELETED = "deleted"
MERGED = "merged"
# The key of a grouping whose issue was reduced to what a person decided (`decided.py`).
REMOVED_KEY = "(removed with its events)"
# What alerts are still to be made of.
ALERTS_DUE = "alerts_due IS NOT NULL"
# Resolved in the next release, which has not appeared yet.
AWAITS_RELEASE = "resolved_after IS NOT NULL AND resolved_in IS NULL"
IS_RESOLVED_IN = "resolved_in IS NOT NULL"
IS_MERGED = "merged_into IS NOT NULL"
IS_KEPT = "payload_removed_at IS NOT NULL"
HAS_REGRESSED = "kind = 'regressed'"

issues = Table(
    "issues",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    # Whether it is its project's `<other>`, see `overflow.py`.
    Column("is_other", Boolean, nullable=False, server_default=false()),
    # The issue that this one was merged into; its status is MERGED then.
    Column("merged_into", RowId, ForeignKey("issues.id", ondelete="CASCADE")),
    Column("title", String(500), nullable=False),
    Column("culprit", String(500), nullable=False),
    Column("type", String(200), nullable=False),
    Column("level", String(16), nullable=False),
    Column("status", String(16), nullable=False, server_default="unresolved"),
    Column("regressed", Boolean, nullable=False, server_default=false()),
    Column("times_seen", Integer, nullable=False),
    Column("stored_event_count", Integer, nullable=False),
    Column("users", Integer, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    # By this service's clock, for retention: events may have lain on a device for weeks. NULL where
    # none came since this column is there; `last_seen` counts then.
    Column("last_received_at", UtcDateTime),
    Column("first_release", String(250)),
    Column("last_release", String(250)),
    # The number of the last release that may still have it; NULL where no release may.
    Column("resolved_after", Integer),
    # The release without it: where it was resolved plainly, the newest one of that time.
    Column("resolved_in", String(250)),
    # What happened before does not open it again; NULL where it is not resolved.
    Column("resolved_at", UtcDateTime),
    # When it was reduced to what a person decided (`decided.py`); NULL once it is seen again.
    Column("payload_removed_at", UtcDateTime),
    # One for each way the list is sorted, so that a page reads no more rows than it shows.
    Index(None, "status", "last_seen", "id"),
    Index(None, "status", "first_seen", "id"),
    Index(None, "status", "times_seen", "id"),
    Index(None, "status", "users", "id"),
    # Those of one project as they are sorted by default.
    Index(None, "project_id", "status", "last_seen", "id"),
    # What a release brought, took away, and is waited for by.
    Index(None, "project_id", "first_release"),
    Index(
        "ix_issues_resolved_in",
        "project_id",
        "resolved_in",
        sqlite_where=text(IS_RESOLVED_IN),
        postgresql_where=text(IS_RESOLVED_IN),
    ),
    Index(
        "ix_issues_kept",
        "project_id",
        "payload_removed_at",
        "id",
        sqlite_where=text(IS_KEPT),
        postgresql_where=text(IS_KEPT),
    ),
    Index(
        "ix_issues_merged_into",
        "merged_into",
        sqlite_where=text(IS_MERGED),
        postgresql_where=text(IS_MERGED),
    ),
    Index(
        "ix_issues_awaiting_release",
        "project_id",
        sqlite_where=text(AWAITS_RELEASE),
        postgresql_where=text(AWAITS_RELEASE),
    ),
)

# Why events are one issue: each key of the rules that leads to it. Found by the hash, whichever
# projects and versions a batch has; a project has a key of a version once.
groupings = Table(
    "groupings",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("version", String(8), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("key", Text, nullable=False),
    # What decided; NULL for groupings older than this column.
    Column("reason", String(200)),
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), nullable=False),
    Column("times_seen", Integer, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    UniqueConstraint("hash", "project_id", "version"),
    Index(None, "issue_id"),
    Index(None, "project_id"),
)

# When an event of a project was last found by its grouping of an older version of the rules. A row
# for each project that has such groupings.
older_groupings = Table(
    "older_groupings",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    Column("matched_at", UtcDateTime, nullable=False),
)

# Events and counts that are on their way from an issue to another one: of a grouping, or all.
# A row stays until they have arrived, so that a merge that was cut off is finished.
issue_moves = Table(
    "issue_moves",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("from_issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), nullable=False),
    Column("to_issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), nullable=False),
    # NULL: all of them.
    Column("grouping_id", RowId),
    Index(None, "from_issue_id"),
    Index(None, "to_issue_id"),
)

# What happened to an issue, a row each: its history, and what alerts are made of.
transitions = Table(
    "transitions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # first_seen, resolved, reopened, ignored, regressed, commented, merged, unmerged.
    Column("kind", String(16), nullable=False),
    # A user's name, a token's name; NULL where the service did it.
    Column("actor", String(200)),
    # The event that caused it, which may be pruned since.
    Column("event_id", String(32)),
    Column("note", Text),
    Column("release", String(250)),
    # NULL where alerts have nothing to look at, or have. No number to read on from would do: SQLite
    # gives the ids of rows that a deleted issue took along to the next ones.
    Column("alerts_due", Boolean),
    Index(None, "issue_id", "id"),
    Index(
        "ix_transitions_alerts_due",
        "id",
        sqlite_where=text(ALERTS_DUE),
        postgresql_where=text(ALERTS_DUE),
    ),
    Index(
        "ix_transitions_regressed_in",
        "release",
        sqlite_where=text(HAS_REGRESSED),
        postgresql_where=text(HAS_REGRESSED),
    ),
)

# Events an hour: by when they happened for the charts, and by when they were stored for alerts.
issue_hours = Table(
    "issue_hours",
    metadata,
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), primary_key=True),
    Column("hour", UtcDateTime, primary_key=True),
    Column("events", Integer, nullable=False),
    Column("received", Integer, nullable=False, server_default="0"),
    Index(None, "hour"),
    sqlite_with_rowid=False,
)

# How often a tag had a value; the empty value stands for all those beyond the bounds that
# recording keeps to.
issue_tags = Table(
    "issue_tags",
    metadata,
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("value", String(200), primary_key=True),
    Column("times_seen", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# What an issue is compared by with others of its project (`similarity.py`), written after the
# event.
issue_similarity = Table(
    "issue_likeness",
    metadata,
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    # Of the rules that made the terms; what older ones made is made again.
    Column("version", Integer, nullable=False),
    # Separated by spaces; empty where its event says nothing.
    Column("terms", Text, nullable=False),
    Index(None, "project_id"),
    Index(None, "version"),
)

# The same the other way round: which issues have a term, by its hash.
issue_terms = Table(
    "issue_terms",
    metadata,
    Column("project_id", Integer, primary_key=True),
    Column("term", BigInteger, primary_key=True),
    Column(
        "issue_id",
        RowId,
        ForeignKey("issue_likeness.issue_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Index(None, "issue_id"),
    sqlite_with_rowid=False,
)

# How many issues a project made in its latest hour; see `overflow.py`. A row a project.
new_issue_windows = Table(
    "new_issue_windows",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    Column("hour", UtcDateTime, nullable=False),
    Column("made", Integer, nullable=False),
    # When the limit was reached last, by the first event beyond it in its hour, and the limit.
    Column("over_at", UtcDateTime),
    Column("over_limit", Integer),
)

# Characters.
MAX_RULE_NAME = 200

grouping_rules = Table(
    "grouping_rules",
    metadata,
    Column("id", Integer, primary_key=True),
    # NULL: for all projects.
    Column("project_id", Integer, ForeignKey("projects.id"), index=True),
    # One of KINDS.
    Column("kind", String(16), nullable=False),
    # Empty: the rule is called by its text.
    Column("name", String(MAX_RULE_NAME), nullable=False),
    Column("text", Text, nullable=False),
    # The first of its kind that matches decides.
    Column("position", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # A user or a token.
    Column("created_by", String(200)),
)

# Feedback about an event that is not there (yet).
WAITS = "issue_id IS NULL AND associated_event_id IS NOT NULL"

HAS_ISSUE = "issue_id IS NOT NULL"

feedback = Table(
    "feedback",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("envelope_id", RowId, ForeignKey("envelopes.id", ondelete="CASCADE"), nullable=False),
    # Its own; NULL for what SDKs call a user report.
    Column("event_id", String(32)),
    Column("associated_event_id", String(32)),
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE")),
    Column("message", Text, nullable=False),
    Column("name", String(MAX_NAME)),
    Column("email", String(MAX_EMAIL)),
    Column("url", String(MAX_URL)),
    Column("source", String(MAX_SOURCE)),
    Column("received_at", UtcDateTime, nullable=False),
    # The same feedback, sent again because its answer was lost, is one row.
    UniqueConstraint("project_id", "event_id"),
    Index(None, "project_id", "id"),
    # Without what has none: SQLite would look for what waits among all of that, too.
    Index(
        "ix_feedback_issue",
        "issue_id",
        "id",
        sqlite_where=text(HAS_ISSUE),
        postgresql_where=text(HAS_ISSUE),
    ),
    # With the project, or SQLite reads all feedback of the project for that of one event.
    Index(None, "associated_event_id", "project_id"),
    Index(None, "envelope_id"),
    Index("ix_feedback_waiting", "id", sqlite_where=text(WAITS), postgresql_where=text(WAITS)),
)
