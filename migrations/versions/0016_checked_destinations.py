"""Destinations that were checked when they were set; those of before go on unchecked.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "destinations",
        sa.Column("checked", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
