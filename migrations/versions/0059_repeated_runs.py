"""The ids of runs beyond the rate, and which monitors begin anew after their project was archived.

Revision ID: 0059
Revises: 0058
"""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# A check-in of a monitor that is not paused ends its waiting. Whatever waits and was heard of was
# in an archived project.
_BEGIN_ANEW = """
UPDATE monitor_states SET begins_anew = true
WHERE status = 'waiting' AND expected_at IS NULL AND last_check_in_at IS NOT NULL
    AND monitor_id IN (SELECT id FROM monitors WHERE NOT paused)
"""


def upgrade() -> None:
    for column in (
        sa.Column("without_row", sa.Integer(), server_default="0", nullable=False),
        sa.Column("begins_anew", sa.Boolean(), server_default=sa.false(), nullable=False),
    ):
        op.add_column("monitor_states", column)
    op.execute(_BEGIN_ANEW)
    op.create_table(
        "runs_without_row",
        sa.Column("state_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("check_in_id", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["state_id"],
            ["monitor_states.id"],
            name="fk_runs_without_row_state_id_monitor_states",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("state_id", "place", name="pk_runs_without_row"),
    )
    op.create_index("ix_runs_without_row_at", "runs_without_row", ["at"])
    op.create_index(
        "ix_runs_without_row_state_id_check_in_id",
        "runs_without_row",
        ["state_id", "check_in_id"],
    )
