"""The next run of a crontab on the wall clock of a zone, whose offset from UTC changes.

CronSim counts on a clock without changes. Here its times become moments. Its own way through the
changes of a zone takes each for one of whole hours, and Lord Howe changes by half an hour.

Source: cron(8) of Debian, 2026-11-28.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from cronsim import CronSim

MINUTE = timedelta(minutes=1)
# No change of a clock is longer, so a time that comes twice does so within a day.
DAY = timedelta(days=1)


def next_run(crontab: str, moment: datetime, zone: tzinfo) -> datetime:
    """Return the first run after a moment, in UTC.

    :param crontab: five fields. If its minute or hour begins with ``*``, it goes on in real time:
        it runs whenever the clock shows one of its times. Otherwise each of its times is one run:
        after the gap if the clock skips it, the first time if it comes twice.
    """
    minute, hour = crontab.split()[:2]
    moment = moment.astimezone(UTC)
    if minute.startswith("*") or hour.startswith("*"):
        return _in_real_time(crontab, moment, zone)
    times = CronSim(crontab, _shown(moment, _offset(moment, zone)))
    while True:
        if (found := _first_moment(next(times), zone)) > moment:
            return found


def _in_real_time(crontab: str, moment: datetime, zone: tzinfo) -> datetime:
    offset = _offset(moment, zone)
    while True:
        found = next(CronSim(crontab, _shown(moment, offset))) - offset
        # The clock may go back over times before `found`, and have the same offset again by then.
        until = found if _offset(found, zone) != offset else min(found, moment + DAY)
        if _offset(until, zone) == offset:
            return found
        change = _change(moment, until, zone)
        moment, offset = change - MINUTE, _offset(change, zone)


def _first_moment(time: datetime, zone: tzinfo) -> datetime:
    """Return when a clock shows a time first, or when it skips it."""
    there = time.replace(tzinfo=zone)
    moment = there.astimezone(UTC)
    if _shown(moment, _offset(moment, zone)) == time:
        return moment
    return _change(there.replace(fold=1).astimezone(UTC), moment, zone)


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return when the offset changes between two moments that differ in it, to the second."""
    offset = _offset(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        before, after = (middle, after) if _offset(middle, zone) == offset else (before, middle)
    return after.replace(microsecond=0)


def _shown(moment: datetime, offset: timedelta) -> datetime:
    """Return the time that a clock shows. It is called UTC, so that CronSim knows no changes."""
    return moment + offset


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
