"""When runs of a monitor were beyond the rate.

Revision ID: 0056
Revises: 0055
"""

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("beyond_rate_at", "beyond_rate_since"):
        column = sa.Column(name, sa.DateTime(timezone=True), nullable=True)
        op.add_column("monitor_states", column)
