"""When a monitor began to fail, or fails no longer, until the alerts have read it.

Revision ID: 0054
Revises: 0053
"""

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "monitor_changes",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("state_id", ROW_ID, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["state_id"],
            ["monitor_states.id"],
            name="fk_monitor_changes_state_id_monitor_states",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_monitor_changes"),
    )
    op.create_index("ix_monitor_changes_state_id", "monitor_changes", ["state_id"])
