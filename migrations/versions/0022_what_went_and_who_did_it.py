"""Whether attachments of an event were removed; who did what to deliveries.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "events",
        sa.Column("attachments_removed", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "delivery_actions",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("envelope_id", ROW_ID, nullable=True),
        sa.Column("project_id", sa.Integer(), nullable=True),
        sa.Column("filter", sa.JSON(), nullable=False),
        sa.Column("envelopes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_actions")),
    )
    op.create_index(op.f("ix_delivery_actions_at"), "delivery_actions", ["at"])
    op.create_index(op.f("ix_delivery_actions_envelope_id"), "delivery_actions", ["envelope_id"])
