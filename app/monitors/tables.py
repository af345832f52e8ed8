"""The tables of monitors, of their environments, and of runs."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    false,
)

from app.protocol.slug import MAX_SLUG
from app.store import RowId, UtcDateTime, metadata, partial_index

MAX_NAME = 200
MAX_ENVIRONMENT = 64
MAX_RELEASE = 250

monitors = Table(
    "monitors",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("slug", String(MAX_SLUG), nullable=False),
    Column("name", String(MAX_NAME), nullable=False),
    # crontab or interval; NULL: no run is expected.
    Column("schedule_type", String(16)),
    Column("schedule_value", String(200)),
    Column("schedule_unit", String(16)),
    Column("timezone", String(64), nullable=False),
    # Minutes, as in Sentry.
    Column("checkin_margin", Integer, nullable=False),
    Column("max_runtime", Integer, nullable=False),
    Column("failure_issue_threshold", Integer, nullable=False),
    Column("recovery_threshold", Integer, nullable=False),
    # sdk: check-ins may change the columns above; person: they may not.
    Column("managed_by", String(16), nullable=False),
    Column("paused", Boolean, nullable=False, server_default=false()),
    # Why the configuration of the last check-in was not taken.
    Column("config_error", String(300)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(200)),
    UniqueConstraint("project_id", "slug"),
)

# A monitor in an environment. Runs of one environment say nothing about another one.
monitor_states = Table(
    "monitor_states",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("monitor_id", Integer, ForeignKey("monitors.id", ondelete="CASCADE"), nullable=False),
    Column("environment", String(MAX_ENVIRONMENT), nullable=False),
    # waiting, ok, missed, timeout or error, after the thresholds. Late follows from `expected_at`.
    Column("status", String(16), nullable=False),
    # Runs in a row that failed, or that ended well.
    Column("failures", Integer, nullable=False),
    Column("successes", Integer, nullable=False),
    Column("expected_at", UtcDateTime),
    Column("last_check_in_at", UtcDateTime),
    # Since when it has this status.
    Column("since", UtcDateTime),
    # When a run is missed or times out next, if nothing comes.
    Column("due_at", UtcDateTime),
    # The minute in which a run ended last, and how many of it have a row of their own.
    Column("minute", Integer, nullable=False, server_default="0"),
    Column("in_minute", Integer, nullable=False, server_default="0"),
    # When a run was beyond the rate last, and since when such runs come again and again.
    Column("beyond_rate_at", UtcDateTime),
    Column("beyond_rate_since", UtcDateTime),
    # How many runs beyond the rate were noted in `runs_without_row`.
    Column("without_row", Integer, nullable=False, server_default="0"),
    # Whether nothing is expected until the next check-in, as its project was archived.
    Column("begins_anew", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("monitor_id", "environment"),
    partial_index("ix_monitor_states_due", "due_at", where="due_at IS NOT NULL"),
)

# A monitor began to fail in an environment, or fails no longer. The alerts remove what they read.
monitor_changes = Table(
    "monitor_changes",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("state_id", RowId, ForeignKey("monitor_states.id", ondelete="CASCADE"), nullable=False),
    # The status after the change, and how many runs had failed in a row.
    Column("status", String(16), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "state_id"),
)

# A run of a job, or one that did not come.
check_ins = Table(
    "check_ins",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("state_id", RowId, ForeignKey("monitor_states.id", ondelete="CASCADE"), nullable=False),
    # 32 hex digits; NULL for a run that did not come.
    Column("check_in_id", String(32)),
    # in_progress, ok, error, missed or timeout.
    Column("status", String(16), nullable=False),
    # When it began; if it did not come, when that was sure.
    Column("at", UtcDateTime, nullable=False),
    Column("expected_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("duration_ms", Float),
    Column("timeout_at", UtcDateTime),
    # Whether this service was away, so that it does not know. Such runs count as no failures.
    Column("away", Boolean, nullable=False, server_default=false()),
    # How many runs the row stands for: several if this service was away, or beyond the rate.
    Column("runs", Integer, nullable=False, server_default="1"),
    Column("trace_id", String(32)),
    Column("release", String(MAX_RELEASE)),
    UniqueConstraint("state_id", "check_in_id"),
    Index(None, "state_id", "id"),
    Index(None, "at"),
    partial_index("ix_check_ins_open", "state_id", where="status = 'in_progress'"),
)

# The ids of the latest runs beyond the rate, which have no row in `check_ins`, so that none counts
# again. A place is taken again by a later run, so they are as many as there are places.
runs_without_row = Table(
    "runs_without_row",
    metadata,
    Column(
        "state_id",
        RowId,
        ForeignKey("monitor_states.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("check_in_id", String(32), nullable=False),
    # ok or error.
    Column("status", String(16), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "state_id", "check_in_id"),
    Index(None, "at"),
)

# Check-ins that were left out, by project and reason.
monitor_losses = Table(
    "monitor_losses",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    Column("reason", String(16), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

# One row: when a process last noted that it is there, and looks or waits for the lease.
monitor_watch = Table(
    "monitor_watch",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)

# When nobody looked, so that check-ins may have been lost.
monitor_outages = Table(
    "monitor_outages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("began_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False),
)
