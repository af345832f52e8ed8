"""Times of clients are corrected when they come in; what goes by receipt has columns of its own.

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("client_timestamp", sa.String(40), nullable=True))
    op.add_column("events", sa.Column("timestamp_corrected", sa.String(16), nullable=True))
    op.add_column("issues", sa.Column("last_received_at", TIME, nullable=True))
    op.add_column("issues", sa.Column("resolved_at", TIME, nullable=True))
    op.add_column(
        "issue_hours", sa.Column("received", sa.Integer(), nullable=False, server_default="0")
    )
    op.execute("UPDATE issue_hours SET received = events")
    op.execute(
        "UPDATE issues SET resolved_at = (SELECT max(at) FROM transitions"
        " WHERE transitions.issue_id = issues.id AND transitions.kind = 'resolved')"
        " WHERE status = 'resolved'"
    )
    _correct_times()


def _correct_times() -> None:
    """Give what clients put into the future, or before 1970, the time of receipt."""
    columns = ("id", "timestamp", "received_at", "client_timestamp", "timestamp_corrected")
    events = sa.table("events", *(sa.column(name) for name in columns), sa.column("issue_id"))
    issues = sa.table("issues", *(sa.column(name) for name in ("id", "first_seen", "last_seen")))
    begin = sa.literal("1970-01-01 00:00:00+00:00", sa.String())
    ahead = sa.column("timestamp") > sa.column("received_at")
    if op.get_bind().dialect.name == "postgresql":
        begin = sa.cast(begin, TIME)
        ahead = sa.text("timestamp > received_at + interval '1 minute'")
    else:
        ahead = sa.text("julianday(timestamp) > julianday(received_at) + 1.0 / 1440")
    for is_wrong, because in ((ahead, "future"), (events.c.timestamp < begin, "impossible")):
        op.execute(
            events.update()
            .where(is_wrong)
            .values(
                client_timestamp=sa.func.substr(sa.cast(events.c.timestamp, sa.String()), 1, 40),
                timestamp_corrected=because,
                timestamp=events.c.received_at,
            )
        )
    now = sa.func.current_timestamp()
    received = sa.select(sa.func.max(events.c.received_at)).where(events.c.issue_id == issues.c.id)
    last = sa.func.coalesce(received.scalar_subquery(), now)
    op.execute(issues.update().where(issues.c.last_seen > now).values(last_seen=last))
    earliest = sa.select(sa.func.min(events.c.timestamp)).where(events.c.issue_id == issues.c.id)
    first = sa.func.coalesce(earliest.scalar_subquery(), issues.c.last_seen)
    op.execute(issues.update().where(issues.c.first_seen < begin).values(first_seen=first))
    for name in ("first_seen", "last_seen"):
        op.execute(
            f"UPDATE groupings SET {name} = (SELECT {name} FROM issues WHERE issues.id ="  # noqa: S608 -- ours
            f" groupings.issue_id) WHERE {name} > CURRENT_TIMESTAMP"
        )
