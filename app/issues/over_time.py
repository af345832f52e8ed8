"""Events of issues over time: by the hour for eight days, then by the day for ninety.

    count_hours   in the transaction of an event: a row of issue and hour
    roll_up       a background task sums up old hours to days, and removes the oldest days

An event is counted in an hour or in a day, never in both. So sums over both tables are exact, also
while hours are summed up. An event that comes late is counted in its own hour, however old that is;
the next run sums it up. Hours and days are in UTC, numbered since 1970.

Counts are by the time at which an event happened. The hours also have the events by the time at
which they were received, for alerts and for issues that are ignored until they get worse.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from app.issues.tables import issue_days, issue_hours
from app.stats.hour_expiry import add_days, roll_up_hours
from app.stats.windows import HOURS_A_DAY, hour_number
from app.store import DriverStatement, Store, added, upsert

_HOURS, _DAYS = issue_hours.c, issue_days.c


class Hours:
    """Event counts of issues, by the hour of the event and by the hour in which it was received."""

    def __init__(self) -> None:
        self.happened: dict[tuple[int, int], int] = defaultdict(int)
        self.received: dict[tuple[int, int], int] = defaultdict(int)

    def count(self, issue_id: int, at: datetime, received_at: datetime) -> None:
        """Count an event.

        :param at: when it happened.
        :param received_at: when this service received it.
        """
        self.happened[issue_id, hour_number(at)] += 1
        self.received[issue_id, hour_number(received_at)] += 1

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The counts as rows of the table ``issue_hours``."""
        return [
            {
                "issue_id": key[0],
                "hour": key[1],
                "events": self.happened.get(key, 0),
                "received": self.received.get(key, 0),
            }
            for key in sorted({*self.happened, *self.received})
        ]


def count_hours(conn: Connection, met: Iterable[tuple[int, datetime]], now: datetime) -> None:
    """Count events that are received now.

    :param met: the issue of each event, and when the event happened.
    :param now: the time received of all of them.
    """
    hours = Hours()
    for issue_id, at in met:
        hours.count(issue_id, at, now)
    add_hours(conn, hours)


def add_hours(conn: Connection, hours: Hours) -> None:
    """Add event counts to the hours of issues."""
    _HOUR_ADDITION.run(conn, hours.rows)


def take_hours(conn: Connection, issue_id: int, hours: Hours) -> None:
    """Subtract event counts from an issue: from its hours, or from the days of hours that were
    summed up. Counts that were removed stay removed.
    """
    of_issue = _HOURS.issue_id == issue_id
    wanted = {row["hour"]: row for row in hours.rows}
    query = select(_HOURS.hour, _HOURS.events, _HOURS.received)
    found = conn.execute(query.where(of_issue, _HOURS.hour.in_(wanted)))
    there = {row.hour: row for row in found}
    from_days: dict[int, int] = defaultdict(int)
    for hour, less in wanted.items():
        row = there.get(hour)
        events, received = (row.events, row.received) if row else (0, 0)
        from_days[hour // HOURS_A_DAY] += max(0, less["events"] - events)
        left = max(0, events - less["events"]), max(0, received - less["received"])
        is_it = of_issue, _HOURS.hour == hour
        if any(left):
            values = {"events": left[0], "received": left[1]}
            conn.execute(update(issue_hours).where(*is_it).values(**values))
        elif row:
            conn.execute(delete(issue_hours).where(*is_it))
    _take_days(conn, issue_id, from_days)


def _take_days(conn: Connection, issue_id: int, less: dict[int, int]) -> None:
    for day, events in less.items():
        is_it = _DAYS.issue_id == issue_id, _DAYS.day == day
        if events:
            fewer = update(issue_days).where(*is_it, _DAYS.events > events)
            if conn.execute(fewer.values(events=_DAYS.events - events)).rowcount == 0:
                conn.execute(delete(issue_days).where(*is_it))


def merge_hours(conn: Connection, source_id: int, target_id: int) -> None:
    """Add the hours and days of an issue to another issue, and delete them from the first."""
    query = select(_HOURS.hour, _HOURS.events, _HOURS.received)
    hours = Hours()
    for hour, events, received in conn.execute(query.where(_HOURS.issue_id == source_id)):
        hours.happened[target_id, hour] = events
        hours.received[target_id, hour] = received
    add_hours(conn, hours)
    days = conn.execute(select(_DAYS.day, _DAYS.events).where(_DAYS.issue_id == source_id))
    add_days(conn, issue_days, {(target_id, day): events for day, events in days})
    for table in (issue_hours, issue_days):
        conn.execute(delete(table).where(table.c.issue_id == source_id))


def roll_up(store: Store, now: datetime) -> None:
    """Sum up the hours of old days to days, and remove the days that are not kept any more."""
    roll_up_hours(store, issue_hours, issue_days, now)


_HOUR_ADDITION = DriverStatement(
    lambda dialect: upsert(dialect, issue_hours, events=added, received=added)
)
