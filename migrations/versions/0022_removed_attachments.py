"""Whether attachments of an event were removed while the event stayed.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "events",
        sa.Column("attachments_removed", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
