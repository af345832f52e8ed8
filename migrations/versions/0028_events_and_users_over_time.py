"""Events of issues by the day; hours as numbers; the last hour in which a user was affected.

Events of projects and environments by the hour and the day.

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op

ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
HOUR_S, DAY_S = 3600, 86400
DAYS_WITH_HOURS = 8

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_days()
    _number_hours()
    _fill_days()
    _keep_last_hours()
    _make_environments()


def _make_days() -> None:
    op.create_table(
        "issue_days",
        _of_issue(),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("issue_id", "day", name=op.f("pk_issue_days")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_issue_days_day"), "issue_days", ["day"])


def _of_issue() -> sa.Column:
    return sa.Column("issue_id", ROW_ID, sa.ForeignKey("issues.id", ondelete="CASCADE"))


def _number_hours() -> None:
    """Number the hours since 1970, instead of storing each as a time."""
    op.execute("ALTER TABLE issue_hours RENAME TO issue_hours_before")
    op.drop_index("ix_issue_hours_hour", "issue_hours_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE issue_hours_before DROP CONSTRAINT pk_issue_hours")
    op.create_table(
        "issue_hours",
        _of_issue(),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("issue_id", "hour", name=op.f("pk_issue_hours")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO issue_hours (issue_id, hour, events, received)"  # noqa: S608 -- ours
        f" SELECT issue_id, {_number('hour', HOUR_S)}, events, received FROM issue_hours_before"
    )
    op.drop_table("issue_hours_before")
    op.create_index(op.f("ix_issue_hours_hour"), "issue_hours", ["hour"])


def _fill_days() -> None:
    """Count the stored events that are older than the hours were kept."""
    now = "strftime('%s', 'now')"
    if op.get_bind().dialect.name == "postgresql":
        now = "floor(extract(epoch FROM now()))"
    hour = _number('"timestamp"', HOUR_S)
    day = _number('"timestamp"', DAY_S)
    first = f"CAST({now} AS INTEGER) / {HOUR_S} - 24 * {DAYS_WITH_HOURS}"
    op.execute(
        "INSERT INTO issue_days (issue_id, day, events)"  # noqa: S608 -- ours
        f" SELECT issue_id, {day}, count(*) FROM events"
        f" WHERE {hour} < {first} GROUP BY issue_id, {day}"
    )


def _number(column: str, seconds: int) -> str:
    """Return the number since 1970 of the hour or the day of a time."""
    since = f"strftime('%s', {column})"
    if op.get_bind().dialect.name == "postgresql":
        since = f"floor(extract(epoch FROM {column}))"
    return f"CAST({since} AS INTEGER) / {seconds}"


def _keep_last_hours() -> None:
    """Keep the last hour of users instead of the last day; the hour itself is not known."""
    op.add_column(
        "affected_users", sa.Column("last_hour", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("affected_users", sa.Column("hour_before", sa.Integer(), nullable=True))
    # The last hour of the day: users of today must not be too few in the period of a day.
    op.execute("UPDATE affected_users SET last_hour = last_day * 24 + 23 WHERE last_day > 0")
    op.drop_column("affected_users", "last_day")
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("affected_users", "last_hour", server_default=None)


def _make_environments() -> None:
    """Make the tables of environments; a background task counts the stored events."""
    op.create_table(
        "project_environments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_environments")),
        sa.UniqueConstraint(
            "project_id", "name", name=op.f("uq_project_environments_project_id_name")
        ),
    )
    for table, time in (("environment_hours", "hour"), ("environment_days", "day")):
        op.create_table(
            table,
            sa.Column("environment_id", sa.Integer(), sa.ForeignKey("project_environments.id")),
            sa.Column(time, sa.Integer(), autoincrement=False, nullable=False),
            sa.Column("events", sa.Integer(), nullable=False),
            sa.PrimaryKeyConstraint("environment_id", time, name=op.f(f"pk_{table}")),
            sqlite_with_rowid=False,
        )
        op.create_index(op.f(f"ix_{table}_{time}"), table, [time])
    op.create_table(
        "environments_counted",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", ROW_ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_environments_counted")),
    )
