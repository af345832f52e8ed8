"""Monitors, the runs of their jobs, and what alert rules said about them.

Revision ID: 0050
Revises: 0049
"""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    add_monitors()
    add_states()
    add_check_ins()
    add_others()


def add_monitors() -> None:
    op.create_table(
        "monitors",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(50), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("schedule_type", sa.String(16), nullable=True),
        sa.Column("schedule_value", sa.String(200), nullable=True),
        sa.Column("schedule_unit", sa.String(16), nullable=True),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("checkin_margin", sa.Integer(), nullable=False),
        sa.Column("max_runtime", sa.Integer(), nullable=False),
        sa.Column("failure_issue_threshold", sa.Integer(), nullable=False),
        sa.Column("recovery_threshold", sa.Integer(), nullable=False),
        sa.Column("managed_by", sa.String(16), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("config_error", sa.String(300), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_monitors_project_id_projects"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_monitors"),
        sa.UniqueConstraint("project_id", "slug", name="uq_monitors_project_id_slug"),
    )


def add_states() -> None:
    op.create_table(
        "monitor_states",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("monitor_id", sa.Integer(), nullable=False),
        sa.Column("environment", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("successes", sa.Integer(), nullable=False),
        sa.Column("expected_at", MOMENT, nullable=True),
        sa.Column("last_check_in_at", MOMENT, nullable=True),
        sa.Column("since", MOMENT, nullable=True),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("minute", sa.Integer(), server_default="0", nullable=False),
        sa.Column("in_minute", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["monitor_id"],
            ["monitors.id"],
            name="fk_monitor_states_monitor_id_monitors",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_monitor_states"),
        sa.UniqueConstraint(
            "monitor_id", "environment", name="uq_monitor_states_monitor_id_environment"
        ),
    )
    add_partial_index("ix_monitor_states_due", "monitor_states", "due_at", "due_at IS NOT NULL")


def add_check_ins() -> None:
    op.create_table(
        "check_ins",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("state_id", ROW_ID, nullable=False),
        sa.Column("check_in_id", sa.String(32), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("expected_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("duration_ms", sa.Float(), nullable=True),
        sa.Column("timeout_at", MOMENT, nullable=True),
        sa.Column("away", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("runs", sa.Integer(), server_default="1", nullable=False),
        sa.Column("trace_id", sa.String(32), nullable=True),
        sa.Column("release", sa.String(250), nullable=True),
        sa.ForeignKeyConstraint(
            ["state_id"],
            ["monitor_states.id"],
            name="fk_check_ins_state_id_monitor_states",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_check_ins"),
        sa.UniqueConstraint("state_id", "check_in_id", name="uq_check_ins_state_id_check_in_id"),
    )
    op.create_index("ix_check_ins_state_id_id", "check_ins", ["state_id", "id"])
    op.create_index("ix_check_ins_at", "check_ins", ["at"])
    add_partial_index("ix_check_ins_open", "check_ins", "state_id", "status = 'in_progress'")


def add_others() -> None:
    op.create_table(
        "monitor_losses",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_monitor_losses_project_id_projects"
        ),
        sa.PrimaryKeyConstraint("project_id", "reason", name="pk_monitor_losses"),
    )
    op.create_table(
        "monitor_watch",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_monitor_watch"),
    )
    op.create_table(
        "monitor_outages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_monitor_outages"),
    )
    op.create_table(
        "noticed_monitors",
        sa.Column("rule_id", sa.Integer(), nullable=False),
        sa.Column("state_id", ROW_ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["alert_rules.id"],
            name="fk_noticed_monitors_rule_id_alert_rules",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["state_id"],
            ["monitor_states.id"],
            name="fk_noticed_monitors_state_id_monitor_states",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("rule_id", "state_id", name="pk_noticed_monitors"),
    )
    op.create_index("ix_noticed_monitors_state_id", "noticed_monitors", ["state_id"])


def add_partial_index(name: str, table: str, column: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, [column], sqlite_where=condition, postgresql_where=condition)
