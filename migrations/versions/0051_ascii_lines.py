"""Whether the texts of a line are ASCII, so that the database can look through them.

Revision ID: 0051
Revises: 0050
"""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("is_ascii", sa.Boolean(), server_default=sa.false(), nullable=False)
    op.add_column("log_lines", column)
