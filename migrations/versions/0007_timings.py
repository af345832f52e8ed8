"""How long requests and transactions took, by the minute.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "timing_series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("transaction", sa.String(length=200), nullable=False),
        sa.Column("release", sa.String(length=250), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("rolled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_timing_series_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timing_series")),
        sa.UniqueConstraint(
            "project_id",
            "day",
            "transaction",
            "release",
            "environment",
            name=op.f("uq_timing_series_project_id_day_transaction_release_environment"),
        ),
    )
    op.create_index(op.f("ix_timing_series_rolled_day"), "timing_series", ["rolled", "day"])
    op.create_table(
        "timings",
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"], ["timing_series.id"], name=op.f("fk_timings_series_id_timing_series")
        ),
        sa.PrimaryKeyConstraint("series_id", "minute", "bucket", name=op.f("pk_timings")),
        sqlite_with_rowid=False,
    )
