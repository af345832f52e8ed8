"""Issues of test errors are marked, and notifications are found by an event that they name.

Revision ID: 0030
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_test = sa.Column("is_test", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("issues", is_test)
    condition = sa.text("is_test")
    op.create_index(
        "ix_issues_test", "issues", ["id"], sqlite_where=condition, postgresql_where=condition
    )
    op.create_index(op.f("ix_notice_issues_event_id"), "notice_issues", ["event_id"])
