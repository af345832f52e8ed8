"""Envelopes that were read in part: their rows have not all that was sent.

Revision ID: 0053
Revises: 0052
"""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("unread_envelopes") as table:
        table.add_column(
            sa.Column("is_partly_read", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
