"""Channels have templates, and notifications open and close incidents.

Revision ID: 0037
Revises: 0036
"""

import sqlalchemy as sa
from alembic import op

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alert_channels", sa.Column("template", sa.Text(), nullable=True))
    op.add_column("notices", sa.Column("incident", sa.String(80), nullable=True))
    op.create_table(
        "open_incidents",
        sa.Column(
            "channel_id",
            sa.Integer(),
            sa.ForeignKey("alert_channels.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("incident", sa.String(80), primary_key=True),
        sa.Column("issue_id", ROW_ID, primary_key=True),
        sa.Column(
            "notice_id", ROW_ID, sa.ForeignKey("notices.id", ondelete="CASCADE"), nullable=False
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_open_incidents_issue_id", "open_incidents", ["issue_id"])
    op.create_index("ix_open_incidents_notice_id", "open_incidents", ["notice_id"])
