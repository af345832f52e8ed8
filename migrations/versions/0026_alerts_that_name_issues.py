"""Notices name all of their issues, rules may be of all projects, channels say that they fail.

Revision ID: 0026
Revises: 0025
"""

from collections import defaultdict
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IS_SHARED = sa.text("project_id IS NULL AND preset IS NOT NULL")
STATE = ("state", "value", "detail", "evaluated_at", "noticed_at", "held")

# What each recommended rule was from the start: name, threshold, minimum, window, cool-down,
# filters. One that is like this is shared by all projects; any other one stays its project's own.
BEGINNINGS = {
    "new_errors": ("New error types", None, None, None, 5, {"level": "error"}),
    "spike": ("Spikes", 3, 20, None, 60, {}),
    "error_rate": ("Error rate above 5 %", 5, 20, 15, 60, {}),
    "p95": ("p95 above 2 s", 2000, 20, 15, 60, {}),
    "outbox_age": ("Envelopes wait for Sentry", 15, None, None, 240, {}),
    "circuit_open": ("Sentry takes nothing", 5, None, None, 240, {}),
    "new_issue_limit": ("Too many new issues", None, None, None, 1440, {}),
    "quota": ("Over its quota", None, None, None, 240, {}),
}

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_tables()
    op.add_column(
        "notices", sa.Column("total", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.add_column("alert_channels", sa.Column("failing_since", TIME, nullable=True))
    op.add_column("alert_channels", sa.Column("failure", sa.String(300), nullable=True))
    with op.batch_alter_table("alert_rules") as rules:
        rules.alter_column("project_id", existing_type=sa.Integer(), nullable=True)
    _move_states()
    _share()
    _keep_regressions_quiet()
    with op.batch_alter_table("alert_rules") as rules:
        for name in (*STATE, "held_issue_id", "held_event_id"):
            rules.drop_column(name)
    op.create_index(
        "ix_alert_rules_shared_presets",
        "alert_rules",
        ["preset"],
        unique=True,
        sqlite_where=IS_SHARED,
        postgresql_where=IS_SHARED,
    )


def _make_tables() -> None:
    op.create_table(
        "alert_rule_states",
        *_of_rule("alert_rule_states"),
        *_of_project("alert_rule_states"),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("detail", sa.String(300), nullable=True),
        sa.Column("evaluated_at", TIME, nullable=True),
        sa.Column("noticed_at", TIME, nullable=True),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("rule_id", "project_id", name=op.f("pk_alert_rule_states")),
    )
    op.create_index(op.f("ix_alert_rule_states_project_id"), "alert_rule_states", ["project_id"])
    op.create_table(
        "held_issues",
        *_of_rule("held_issues"),
        sa.Column("issue_id", ROW_ID, nullable=False),
        *_of_project("held_issues"),
        sa.Column("event_id", sa.String(32), nullable=True),
        sa.Column("environment", sa.String(64), nullable=True),
        sa.Column("release", sa.String(250), nullable=True),
        sa.PrimaryKeyConstraint("rule_id", "issue_id", name=op.f("pk_held_issues")),
    )
    op.create_index(op.f("ix_held_issues_project_id"), "held_issues", ["project_id"])
    op.create_table(
        "noticed_issues",
        *_of_rule("noticed_issues"),
        sa.Column("issue_id", ROW_ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("rule_id", "issue_id", name=op.f("pk_noticed_issues")),
    )
    op.create_table(
        "notice_issues",
        sa.Column("notice_id", ROW_ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("issue_id", ROW_ID, nullable=False),
        sa.Column("event_id", sa.String(32), nullable=True),
        sa.Column("title", sa.String(500), nullable=False),
        sa.Column("place", sa.String(500), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.Column("environment", sa.String(64), nullable=True),
        sa.Column("release", sa.String(250), nullable=True),
        sa.Column("back", sa.String(500), nullable=True),
        sa.Column("cause", sa.String(300), nullable=True),
        sa.ForeignKeyConstraint(
            ["notice_id"],
            ["notices.id"],
            name=op.f("fk_notice_issues_notice_id_notices"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("notice_id", "position", name=op.f("pk_notice_issues")),
        sqlite_with_rowid=False,
    )


def _of_rule(table: str) -> tuple[sa.Column, sa.ForeignKeyConstraint]:
    name = op.f(f"fk_{table}_rule_id_alert_rules")
    return (
        sa.Column("rule_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rules.id"], name=name, ondelete="CASCADE"),
    )


def _of_project(table: str) -> tuple[sa.Column, sa.ForeignKeyConstraint]:
    name = op.f(f"fk_{table}_project_id_projects")
    return (
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=name),
    )


def _move_states() -> None:
    names = ", ".join(STATE)
    op.execute(
        f"INSERT INTO alert_rule_states (rule_id, project_id, {names})"  # noqa: S608 - constants
        f" SELECT id, project_id, {names} FROM alert_rules"
    )
    op.execute(
        "INSERT INTO held_issues (rule_id, issue_id, project_id, event_id)"
        " SELECT id, held_issue_id, project_id, held_event_id FROM alert_rules"
        " WHERE held > 0 AND held_issue_id IS NOT NULL"
    )
    # What a frequency rule told within its cool-down is not told again.
    op.execute(
        "INSERT INTO noticed_issues (rule_id, issue_id, at)"
        " SELECT rule_id, issue_id, max(at) FROM notices WHERE kind = 'frequency'"
        " AND rule_id IS NOT NULL AND issue_id IS NOT NULL GROUP BY rule_id, issue_id"
    )


def _share() -> None:
    """Make one rule of all projects of the recommended ones that nobody changed."""
    conn = op.get_bind()
    alike: dict[str, list[int]] = defaultdict(list)
    for row in conn.execute(sa.select(_RULES).order_by(_RULES.c.id)):
        if row.enabled and row.channel_ids is None and _values(row) == BEGINNINGS.get(row.preset):
            alike[row.preset].append(row.id)
    for first, *others in alike.values():
        conn.execute(sa.update(_RULES).where(_RULES.c.id == first).values(project_id=None))
        for rule_id in others:
            for table in (_STATES, _HELD, _NOTICES):
                of_it = sa.update(table).where(table.c.rule_id == rule_id)
                conn.execute(of_it.values(rule_id=first))
            conn.execute(sa.delete(_RULES).where(_RULES.c.id == rule_id))


def _keep_regressions_quiet() -> None:
    """Where a person made a rule about regressions, or switched it off, the new one stays off."""
    conn = op.get_bind()
    of_people = sa.select(_RULES.c.project_id).where(_RULES.c.kind == "regression").distinct()
    for project_id in list(conn.scalars(of_people)):
        values = {
            "project_id": project_id,
            "kind": "regression",
            "preset": "regressions",
            "name": "Regressions",
            "enabled": False,
            "cooldown_minutes": 5,
            "filters": {},
            "created_at": datetime.now(UTC),
            # Columns that go in a moment.
            "state": "unknown",
            "held": 0,
        }
        conn.execute(sa.insert(_RULES).values(values))


def _values(row: sa.Row) -> tuple[object, ...]:
    names = ("name", "threshold", "minimum", "window_minutes", "cooldown_minutes", "filters")
    return tuple(getattr(row, name) for name in names)


_RULES = sa.table(
    "alert_rules",
    sa.column("id", sa.Integer),
    sa.column("project_id", sa.Integer),
    sa.column("kind", sa.String),
    sa.column("preset", sa.String),
    sa.column("name", sa.String),
    sa.column("enabled", sa.Boolean),
    sa.column("threshold", sa.Float),
    sa.column("minimum", sa.Integer),
    sa.column("window_minutes", sa.Integer),
    sa.column("cooldown_minutes", sa.Integer),
    sa.column("filters", sa.JSON),
    sa.column("channel_ids", sa.JSON(none_as_null=True)),
    sa.column("state", sa.String),
    sa.column("held", sa.Integer),
    sa.column("created_at", TIME),
)
_STATES, _HELD, _NOTICES = (
    sa.table(name, sa.column("rule_id", sa.Integer))
    for name in ("alert_rule_states", "held_issues", "notices")
)
