"""Recommended rules about issues notify once a minute instead of every five minutes.

Revision ID: 0034
Revises: 0033
"""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE alert_rules SET cooldown_minutes = 1"
        " WHERE preset IN ('new_errors', 'regressions') AND cooldown_minutes = 5"
    )
