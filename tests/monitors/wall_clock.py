"""When jobs run by a crontab, counted on the wall clock minute by minute, without a library."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def runs(
    zone: str, minutes: set[int], hours: set[int], days: set[date], *, in_real_time: bool
) -> list[datetime]:
    """Return the runs of a job on some days, in UTC.

    :param in_real_time: whether the crontab has a star for its minute or hour. The other jobs run
        once a day and time: after a gap of the clock, or the first time if an hour comes twice.
    """
    there = ZoneInfo(zone)
    if in_real_time:
        return list(_each_minute(there, minutes, hours, days))
    found = set()
    for day in days:
        for hour in hours:
            for minute in minutes:
                wanted = datetime.combine(day, time(hour, minute))
                moment = wanted.replace(tzinfo=there, fold=0).astimezone(UTC)
                while moment.astimezone(there).replace(tzinfo=None) < wanted:
                    moment += MINUTE
                if moment.astimezone(there).replace(tzinfo=None) != wanted:
                    moment = _end_of_gap(there, moment)
                found.add(moment)
    return sorted(found)


def _end_of_gap(zone: ZoneInfo, moment: datetime) -> datetime:
    """Return the first moment after a gap of the clock near a moment."""
    first = moment - timedelta(hours=3)
    steps = [first + n * MINUTE for n in range(360)]
    for before, after in pairwise(steps):
        if after.astimezone(zone).utcoffset() != before.astimezone(zone).utcoffset():
            return after
    raise AssertionError("no gap")


def _each_minute(
    zone: ZoneInfo, minutes: set[int], hours: set[int], days: set[date]
) -> Iterator[datetime]:
    moment = datetime.combine(min(days), time(), zone).astimezone(UTC) - timedelta(hours=2)
    end = datetime.combine(max(days), time(), zone).astimezone(UTC) + timedelta(hours=27)
    # Offsets of zones are whole quarters of an hour, and so are the minutes of most jobs.
    step = 5 * MINUTE if any(minute % 15 for minute in minutes) else 15 * MINUTE
    while moment < end:
        local = moment.astimezone(zone)
        if local.date() in days and local.hour in hours and local.minute in minutes:
            yield moment
        moment += step


def days_of_year(year: int, weekdays: str = "1234567", first: bool = False) -> set[date]:
    """Return days of a year: on some weekdays (1 is Monday), or only the first of each month."""
    start = date(year, 1, 1)
    every = (start + timedelta(days=n) for n in range((date(year + 1, 1, 1) - start).days))
    return {
        day for day in every if str(day.isoweekday()) in weekdays and (day.day == 1 or not first)
    }
