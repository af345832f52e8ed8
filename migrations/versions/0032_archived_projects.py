"""Projects can be archived and deleted, and be made for a demo.

Revision ID: 0032
Revises: 0031
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("projects") as projects:
        for name in ("archived_at", "deleted_at", "purged_at"):
            projects.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))
        is_demo = sa.Column("is_demo", sa.Boolean(), nullable=False, server_default=sa.false())
        projects.add_column(is_demo)
