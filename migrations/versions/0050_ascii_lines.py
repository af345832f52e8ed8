"""Whether the texts of a line are ASCII, so that the database can look through them.

Revision ID: 0050
Revises: 0049
"""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("is_ascii", sa.Boolean(), server_default=sa.false(), nullable=False)
    op.add_column("log_lines", column)
