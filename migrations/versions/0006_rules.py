"""Rules of grouping; counts of what comes besides events; what clients say they lost.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "grouping_rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_grouping_rules_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grouping_rules")),
    )
    op.add_column("events", sa.Column("ignored_by", sa.String(length=200), nullable=True))
    op.create_index(op.f("ix_envelopes_event_id"), "envelopes", ["event_id"])
    op.create_table(
        "item_counts",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("item_type", sa.String(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_item_counts_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("project_id", "item_type", "day", name=op.f("pk_item_counts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "client_losses",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("client", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_client_losses_project_id_projects")
        ),
        sa.PrimaryKeyConstraint(
            "project_id", "client", "reason", "category", "day", name=op.f("pk_client_losses")
        ),
        sqlite_with_rowid=False,
    )
