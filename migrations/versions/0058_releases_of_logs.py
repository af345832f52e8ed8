"""Whether lines of logs named a release, so that `release:latest` finds lines.

Revision ID: 0058
Revises: 0057
"""

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("has_logs", sa.Boolean(), server_default=sa.false(), nullable=False)
    op.add_column("releases", column)
    op.execute(
        "UPDATE releases SET has_logs = true WHERE (project_id, version) IN"
        " (SELECT project_id, release FROM log_lines)"
    )
