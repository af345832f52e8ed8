"""Issues lead to a tracker, and frames to the repository of their project.

Revision ID: 0031
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("issues", sa.Column("tracker_url", sa.String(1000), nullable=True))
    op.add_column("projects", sa.Column("source_url", sa.String(500), nullable=True))
