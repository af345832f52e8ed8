"""How sessions went, by the minute, and whose they were.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "session_series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("release", sa.String(length=250), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("users", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rolled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_session_series_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_series")),
        sa.UniqueConstraint(
            "project_id",
            "day",
            "release",
            "environment",
            name=op.f("uq_session_series_project_id_day_release_environment"),
        ),
    )
    op.create_index(op.f("ix_session_series_rolled_day"), "session_series", ["rolled", "day"])
    op.create_table(
        "session_counts",
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.Column("errored", sa.BigInteger(), nullable=False),
        sa.Column("abnormal", sa.BigInteger(), nullable=False),
        sa.Column("crashed", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["session_series.id"],
            name=op.f("fk_session_counts_series_id_session_series"),
        ),
        sa.PrimaryKeyConstraint("series_id", "minute", name=op.f("pk_session_counts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session_users",
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("user_hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.Column("crashed", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["session_series.id"],
            name=op.f("fk_session_users_series_id_session_series"),
        ),
        sa.PrimaryKeyConstraint("series_id", "user_hash", name=op.f("pk_session_users")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "known_sessions",
        sa.Column("session_hash", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("user_hash", sa.BigInteger(), nullable=False),
        sa.Column("outcome_before", sa.SmallInteger(), nullable=True),
        sa.Column("user_before", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("session_hash", name=op.f("pk_known_sessions")),
    )
    op.create_index(op.f("ix_known_sessions_minute"), "known_sessions", ["minute"])
