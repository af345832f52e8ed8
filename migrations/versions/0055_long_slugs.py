"""Slugs of monitors up to 200 characters.

Revision ID: 0055
Revises: 0054
"""

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("monitors") as table:
        table.alter_column("slug", type_=sa.String(200), existing_nullable=False)
