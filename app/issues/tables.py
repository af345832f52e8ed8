"""The tables of issues: groupings, history, counts, similarity, rules and feedback."""

from __future__ import annotations

from enum import StrEnum

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
)

from app.inputs.links import MAX_LINK
from app.protocol.feedback import MAX_EMAIL, MAX_NAME, MAX_SOURCE, MAX_URL
from app.store import RowId, UtcDateTime, metadata, partial_index


class IssueStatus(StrEnum):
    """The status of an issue that people see."""

    UNRESOLVED = "unresolved"
    RESOLVED = "resolved"
    IGNORED = "ignored"


class FeedbackState(StrEnum):
    """The state of feedback: whether somebody has to look at it."""

    OPEN = "open"
    DONE = "done"
    SPAM = "spam"


# A DELETED issue is visible only to retention, which removes its rows. A MERGED issue only refers
# to the issue that it was merged into.
STATUSES = tuple(IssueStatus)
DELETED = "deleted"
MERGED = "merged"
# The key of a grouping whose issue was reduced to a person's decisions (`decided.py`).
REMOVED_KEY = "(removed with its events)"
# History rows that alerts still have to process.
ALERTS_DUE = "alerts_due IS NOT NULL"
# Issues that are resolved in the next release, which has not appeared yet.
AWAITS_RELEASE = "resolved_after IS NOT NULL AND resolved_in IS NULL"
IS_RESOLVED_IN = "resolved_in IS NOT NULL"
IS_MERGED = "merged_into IS NOT NULL"
IS_KEPT = "payload_removed_at IS NOT NULL"
HAS_REGRESSED = "kind = 'regressed'"
IS_ASSIGNED = "assigned_to IS NOT NULL"
# Issues that are ignored until a condition holds.
ENDS_BY_ITSELF = "ignore_until IS NOT NULL"
IS_TEST = "is_test"

issues = Table(
    "issues",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    # Whether it is the issue `<other>` of its project, see `overflow.py`.
    Column("is_other", Boolean, nullable=False, server_default=false()),
    # Whether its events are test errors (`protocol/test_error.py`). Figures do not count them.
    Column("is_test", Boolean, nullable=False, server_default=false()),
    # The issue that this one was merged into; the status is then MERGED.
    Column("merged_into", RowId, ForeignKey("issues.id", ondelete="CASCADE")),
    Column("title", String(500), nullable=False),
    Column("culprit", String(500), nullable=False),
    Column("type", String(200), nullable=False),
    Column("level", String(16), nullable=False),
    Column("status", String(16), nullable=False, server_default=IssueStatus.UNRESOLVED),
    Column("regressed", Boolean, nullable=False, server_default=false()),
    Column("times_seen", Integer, nullable=False),
    Column("stored_event_count", Integer, nullable=False),
    Column("users", Integer, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    # By this service's clock, for retention: events may arrive weeks later from a device. NULL if
    # no event was received since this column was added; `last_seen` is then used instead.
    Column("last_received_at", UtcDateTime),
    Column("first_release", String(250)),
    Column("last_release", String(250)),
    # The number of the last release that may still have the error; NULL if no release may have it.
    Column("resolved_after", Integer),
    # The release with the fix. If the issue was resolved without a release, the newest release at
    # that time.
    Column("resolved_in", String(250)),
    # Events from before this time do not reopen the issue; NULL if it is not resolved.
    Column("resolved_at", UtcDateTime),
    # When it was reduced to a person's decisions (`decided.py`); NULL once it is seen again.
    Column("payload_removed_at", UtcDateTime),
    Column("assigned_to", String(100), ForeignKey("users.username", ondelete="SET NULL")),
    # The issue of a tracker that a person linked it to.
    Column("tracker_url", String(MAX_LINK)),
    # Who ignored it and when; NULL if it is not ignored, or if a rule ignored it.
    Column("ignored_by", String(200)),
    Column("ignored_at", UtcDateTime),
    # When that ends (`ignore_until.py`), as JSON; NULL if it does not end by itself. The columns
    # below are NULL then, too.
    Column("ignore_until", Text),
    # What the condition counts from: the time, events, users, and the project's newest release.
    # They are the values of when it was ignored. Merges and unmerges change them (`ignoring.py`).
    Column("ignored_from", UtcDateTime),
    Column("ignored_events", Integer),
    Column("ignored_users", Integer),
    Column("ignored_release", Integer),
    # An index for each sort order of the list, so that a page reads only the rows that it shows.
    Index(None, "status", "last_seen", "id"),
    Index(None, "status", "first_seen", "id"),
    Index(None, "status", "times_seen", "id"),
    Index(None, "status", "users", "id"),
    # For the issues of a project in the default sort order.
    Index(None, "project_id", "status", "last_seen", "id"),
    # For the issues that are new in a release, resolved in it, or wait for the next release; and
    # for retention and merges.
    Index(None, "project_id", "first_release"),
    partial_index("ix_issues_resolved_in", "project_id", "resolved_in", where=IS_RESOLVED_IN),
    partial_index("ix_issues_kept", "project_id", "payload_removed_at", "id", where=IS_KEPT),
    partial_index("ix_issues_merged_into", "merged_into", where=IS_MERGED),
    partial_index("ix_issues_awaiting_release", "project_id", where=AWAITS_RELEASE),
    # No event changes these two indexes.
    partial_index("ix_issues_assigned_to", "assigned_to", where=IS_ASSIGNED),
    partial_index("ix_issues_ignored_until", "id", where=ENDS_BY_ITSELF),
    partial_index("ix_issues_test", "id", where=IS_TEST),
)

# Why events belong to an issue: each grouping key of the issue. The hash comes first in the unique
# key, so that a batch can have any projects and versions. A project has a key of a version once.
groupings = Table(
    "groupings",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("version", String(8), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("key", Text, nullable=False),
    # What the grouping used; NULL for groupings older than this column.
    Column("reason", String(200)),
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), nullable=False),
    Column("times_seen", Integer, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    UniqueConstraint("hash", "project_id", "version"),
    Index(None, "issue_id"),
    Index(None, "project_id"),
)

# When an event of a project last matched a grouping of an older version of the rules. One row for
# each project with such groupings.
older_groupings = Table(
    "older_groupings",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    Column("matched_at", UtcDateTime, nullable=False),
)

# Moves of events and counts from an issue to another one: of a grouping, or of the whole issue.
# A row stays until all events have arrived, so that an interrupted merge is finished later.
issue_moves = Table(
    "issue_moves",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("from_issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), nullable=False),
    Column("to_issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), nullable=False),
    # NULL: all events of the issue.
    Column("grouping_id", RowId),
    Index(None, "from_issue_id"),
    Index(None, "to_issue_id"),
)

# The history of issues, a row for each change. Alerts are made from these rows, too.
transitions = Table(
    "transitions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # first_seen, resolved, reopened, ignored, unignored, regressed, assigned, commented, merged,
    # unmerged, linked.
    Column("kind", String(16), nullable=False),
    # The name of a user, token or rule; NULL if the service made the change.
    Column("actor", String(200)),
    # The event that caused the change; it may have been pruned since.
    Column("event_id", String(32)),
    Column("note", Text),
    Column("release", String(250)),
    # NULL if alerts do not have to process the row, or have done so. A last processed id would not
    # work: SQLite reuses the ids of rows that were removed with a deleted issue.
    Column("alerts_due", Boolean),
    Index(None, "issue_id", "id"),
    partial_index("ix_transitions_alerts_due", "id", where=ALERTS_DUE),
    partial_index("ix_transitions_regressed_in", "release", where=HAS_REGRESSED),
)

# The comment that says how an issue was fixed (`fixes.py`).
remembered_fixes = Table(
    "remembered_fixes",
    metadata,
    Column(
        "issue_id",
        RowId,
        ForeignKey("issues.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False, index=True),
    Column(
        "comment_id",
        RowId,
        ForeignKey("transitions.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
)

# Events per hour: by the time of the event for charts, and by the time stored for alerts.
issue_hours = Table(
    "issue_hours",
    metadata,
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), primary_key=True),
    # A number since 1970. As a time, converting the hours was a third of the cost of the list.
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("events", Integer, nullable=False),
    Column("received", Integer, nullable=False, server_default="0"),
    Index(None, "hour"),
    sqlite_with_rowid=False,
)

# Events per day, of the hours that are not kept any more (`over_time.py`). A day is a number since
# 1970.
issue_days = Table(
    "issue_days",
    metadata,
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("events", Integer, nullable=False),
    # Expiry finds old rows by this index.
    Index(None, "day"),
    sqlite_with_rowid=False,
)

# How often a tag had a value. The empty value stands for all values beyond the bounds
# (`counting.py`).
issue_tags = Table(
    "issue_tags",
    metadata,
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("value", String(200), primary_key=True),
    Column("times_seen", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# The terms by which an issue is compared with others of its project (`similarity.py`). They are
# written after ingest.
issue_similarity = Table(
    "issue_likeness",
    metadata,
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    # The version of the rules that made the terms; terms of older rules are made again.
    Column("version", Integer, nullable=False),
    # Separated by spaces; empty if the event has no terms.
    Column("terms", Text, nullable=False),
    Index(None, "project_id"),
    Index(None, "version"),
)

# The index of the terms: which issues have a term, by its hash.
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

# Issues whose document in the search index has to be made again (`search_marks.py`).
stale_issues = Table(
    "search_stale_issues",
    metadata,
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), primary_key=True),
    # How often it was marked, so that a mark of the time in which it is made again stays.
    Column("marks", Integer, nullable=False),
)

# How many issues a project made in its latest hour, see `overflow.py`. One row per project.
new_issue_windows = Table(
    "new_issue_windows",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    Column("hour", UtcDateTime, nullable=False),
    Column("made", Integer, nullable=False),
    # When the first event exceeded the limit, in the latest hour with such an event; and the limit.
    Column("over_at", UtcDateTime),
    Column("over_limit", Integer),
)

# The largest length of a rule's name, in characters.
MAX_RULE_NAME = 200

grouping_rules = Table(
    "grouping_rules",
    metadata,
    Column("id", Integer, primary_key=True),
    # NULL if the rule applies to all projects.
    Column("project_id", Integer, ForeignKey("projects.id"), index=True),
    # "fingerprint" or "ignore".
    Column("kind", String(16), nullable=False),
    # If empty, the text of the rule is shown instead.
    Column("name", String(MAX_RULE_NAME), nullable=False),
    Column("text", Text, nullable=False),
    # The order of the rules: the first matching rule of each kind applies.
    Column("position", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # The name of a user or a token.
    Column("created_by", String(200)),
)

# Feedback about an event that is not stored, or not stored yet.
WAITS = "issue_id IS NULL AND associated_event_id IS NOT NULL"

HAS_ISSUE = "issue_id IS NOT NULL"

feedback = Table(
    "feedback",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("envelope_id", RowId, ForeignKey("envelopes.id", ondelete="CASCADE"), nullable=False),
    # The id of the feedback itself; NULL for a user report, as SDKs call it.
    Column("event_id", String(32)),
    Column("associated_event_id", String(32)),
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE")),
    Column("message", Text, nullable=False),
    Column("name", String(MAX_NAME)),
    Column("email", String(MAX_EMAIL)),
    Column("url", String(MAX_URL)),
    Column("source", String(MAX_SOURCE)),
    # A FeedbackState, which people set.
    Column("state", String(16), nullable=False, server_default=FeedbackState.OPEN),
    Column("received_at", UtcDateTime, nullable=False),
    # Feedback that a client sent again, because it received no answer, is a single row.
    UniqueConstraint("project_id", "event_id"),
    Index(None, "project_id", "id"),
    # Partial: otherwise SQLite would use this index to find waiting feedback, among all rows
    # without an issue.
    partial_index("ix_feedback_issue", "issue_id", "id", where=HAS_ISSUE),
    # With the project: otherwise SQLite reads all feedback of the project to find that of an event.
    Index(None, "associated_event_id", "project_id"),
    Index(None, "envelope_id"),
    partial_index("ix_feedback_waiting", "id", where=WAITS),
)
