"""Counts of lines of logs by level; those that are stored are counted.

Revision ID: 0057
Revises: 0056
"""

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

# How a minute is read from a time, and a day from a minute.
MINUTE = {
    "sqlite": "CAST(strftime('%s', at) AS INTEGER) / 60",
    "postgresql": "CAST(floor(extract(epoch FROM at) / 60) AS INTEGER)",
}
DAY = {
    "sqlite": "date(minute * 60, 'unixepoch')",
    "postgresql": "CAST(to_timestamp(minute * 60) AT TIME ZONE 'UTC' AS DATE)",
}


def upgrade() -> None:
    op.create_table(
        "log_series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("rolled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_log_series_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_series")),
        sa.UniqueConstraint(
            "project_id", "day", "level", name=op.f("uq_log_series_project_id_day_level")
        ),
    )
    op.create_index(op.f("ix_log_series_rolled_day"), "log_series", ["rolled", "day"])
    op.create_table(
        "log_counts",
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"], ["log_series.id"], name=op.f("fk_log_counts_series_id_log_series")
        ),
        sa.PrimaryKeyConstraint("series_id", "minute", name=op.f("pk_log_counts")),
        sqlite_with_rowid=False,
    )
    _count_stored(op.get_bind())


def _count_stored(conn: sa.Connection) -> None:
    """Count the lines that are stored: a scan of at most LOG_MAX_BYTES, seconds for a gigabyte."""
    minute, day = MINUTE[conn.dialect.name], DAY[conn.dialect.name]
    counted = (
        f"SELECT project_id, level, {minute} AS minute, count(*) AS lines"  # noqa: S608 -- ours
        " FROM log_lines GROUP BY 1, 2, 3"
    )
    conn.exec_driver_sql(
        "INSERT INTO log_series (project_id, day, level)"  # noqa: S608 -- ours
        f" SELECT DISTINCT project_id, {day}, level FROM ({counted}) AS counted"
    )
    conn.exec_driver_sql(
        "INSERT INTO log_counts (series_id, minute, lines)"  # noqa: S608 -- ours
        f" SELECT log_series.id, minute, lines FROM ({counted}) AS counted"
        " JOIN log_series ON log_series.project_id = counted.project_id"
        f" AND log_series.level = counted.level AND log_series.day = {day}"
    )
