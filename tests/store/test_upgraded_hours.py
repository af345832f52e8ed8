"""A store of before days were counted: hours stay, and old events are counted by the day."""

from __future__ import annotations

from datetime import timedelta

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import select, text

from app.inputs.period import period_range
from app.issues.figures import figures_of
from app.stats.tables import affected_users
from app.stats.windows import hour_number
from app.store import Store, utc_now
from app.store.migrations import MIGRATIONS
from tests.store.test_upgraded_clocks import empty_url

__all__ = ["empty_url"]

_EARLIER = (
    "INSERT INTO envelopes (id, uid, project_id, item_types, state, received_at, size_bytes, body)"
    " VALUES (1, 'u', 1, 'event', 'local', :old, 1, 'x')",
    "INSERT INTO issues (id, project_id, title, culprit, type, level, status, times_seen,"
    " stored_event_count, users, first_seen, last_seen) VALUES (1, 1, 't', 'c', 'message',"
    " 'error', 'resolved', 4, 4, 1, :old, :now)",
    "INSERT INTO events (event_id, project_id, issue_id, envelope_id, level, title, culprit,"
    " timestamp, received_at, stored_at, scrub_ms, scrubbed, duplicates) VALUES"
    " ('e', 1, 1, 1, 'error', 't', 'c', :old, :old, :old, 0, '[]', 0)",
    "INSERT INTO issue_hours (issue_id, hour, events, received) VALUES (1, :now, 3, 3)",
    "INSERT INTO affected_users (kind, of_id, user_hash, first_day, last_day)"
    " VALUES (1, 1, 'h', :day, :day)",
)


def test_upgrade_numbers_hours_and_counts_old_events(empty_url: str) -> None:
    store, now = Store(empty_url), utc_now()
    with store.write(foreign_keys=False) as conn:
        config = AlembicConfig(attributes={"connection": conn})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0027")
    hour = now.replace(minute=0, second=0, microsecond=0)
    times = {"now": hour.isoformat(" "), "old": (hour - timedelta(days=20)).isoformat(" ")}
    if store.is_sqlite:
        times = {name: f"{moment[:19]}.000000" for name, moment in times.items()}
    given = {**times, "day": hour_number(now) // 24}
    with store.write() as conn:
        for statement in _EARLIER:
            named = {name: value for name, value in given.items() if f":{name}" in statement}
            conn.execute(text(statement), named)
    store.migrate()
    with store.read() as conn:
        day = figures_of(conn, [1], period_range("day", now))[1]
        month = figures_of(conn, [1], period_range("month", now))[1]
        user = conn.execute(select(affected_users)).one()
    assert (day.events, day.users, month.events) == (3, 1, 4)
    assert user.last_hour // 24 == given["day"] and user.hour_before is None
    store.dispose()
