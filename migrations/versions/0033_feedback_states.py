"""Feedback is open, done or spam.

Revision ID: 0033
Revises: 0032
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    state = sa.Column("state", sa.String(16), nullable=False, server_default="open")
    op.add_column("feedback", state)
