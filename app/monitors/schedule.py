"""Schedules of monitors: a crontab in a time zone, or an interval in real time.

A crontab follows the wall clock of its zone as Debian's cron does (:mod:`wall_clock`). A run at an
hour that the clock skips is expected right after the change; one at an hour that comes twice, the
first time. A crontab whose minute or hour begins with ``*`` goes on in real time.

Source: https://develop.sentry.dev/sdk/telemetry/check-ins/ and cron(8) of Debian, 2026-11-28.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from app.inputs.time_zones import EXPECTED, read_time_zone
from app.monitors.wall_clock import next_run

MAX_CRONTAB = 200
# Ten thousand minutes are a week; no job runs less often than once in ten years.
MAX_INTERVAL = 10_000
MAX_SPAN = timedelta(days=3653)
UNITS = ("minute", "hour", "day", "week", "month", "year")
_SPANS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=30),
    "year": timedelta(days=365),
}
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
NEVER_DUE = "this crontab is never due: there is no such day in its months"
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)


class ScheduleError(ValueError):
    """A schedule cannot be followed.

    :param field: ``schedule`` or ``timezone``.
    """

    def __init__(self, message: str, field: str = "schedule") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job is expected to run.

    :param type: ``crontab`` or ``interval``.
    :param value: the crontab, or the number of units.
    :param unit: of an interval, one of :data:`UNITS`.
    :param timezone: a name of the IANA database.
    """

    type: str
    value: str
    unit: str | None = None
    timezone: str = "UTC"

    def next_after(self, moment: datetime) -> datetime:
        """Return the first expected run after a moment, in UTC.

        :param moment: of an interval, the run before.
        """
        if self.type == "interval":
            return _interval_after(int(self.value), self.unit or "minute", moment, self.zone)
        return next_run(self.crontab, moment, self.zone)

    @property
    def crontab(self) -> str:
        """The crontab with five fields."""
        return _NICKNAMES.get(self.value.lower(), self.value)

    @property
    def zone(self) -> tzinfo:
        """The time zone; UTC if this machine does not know it (:attr:`problem`)."""
        return _zone(self.timezone)

    @property
    def problem(self) -> str | None:
        """Why it cannot be followed as it was meant."""
        if read_time_zone(self.timezone) is None:
            return f"this machine does not know the time zone {self.timezone}, UTC is used instead"
        return None

    def __str__(self) -> str:
        if self.type == "interval":
            one = self.value == "1"
            return f"every {self.unit}" if one else f"every {self.value} {self.unit}s"
        return f"{self.value} ({self.timezone})"


def checked_zone(timezone: object) -> str:
    """Return the name of a time zone as the IANA database spells it.

    :raise ScheduleError: there is no such time zone.
    """
    zone = read_time_zone(timezone)
    if zone is None:
        raise ScheduleError(EXPECTED, "timezone")
    return zone


def checked_schedule(type: str, value: object, unit: str | None, timezone: object) -> Schedule:
    """Return a schedule that can be followed.

    :raise ScheduleError: it cannot.
    """
    zone = checked_zone(timezone)
    if type == "interval":
        return Schedule(type, str(_checked_count(value, unit)), unit, zone)
    if type != "crontab":
        raise ScheduleError("crontab or interval is expected")
    text = " ".join(value.split()) if isinstance(value, str) and len(value) <= MAX_CRONTAB else ""
    schedule = Schedule(type, text, None, zone)
    _check_crontab(schedule)
    return schedule


def _checked_count(value: object, unit: str | None) -> int:
    if unit not in _SPANS:
        raise ScheduleError(f"the unit of an interval is one of {', '.join(UNITS)}")
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= MAX_INTERVAL):
        raise ScheduleError(f"an interval is a number from 1 to {MAX_INTERVAL:,}")
    if int(text) * _SPANS[unit] > MAX_SPAN:
        raise ScheduleError("an interval is at most ten years")
    return int(text)


def _check_crontab(schedule: Schedule) -> None:
    if len(schedule.crontab.split()) != 5:
        raise ScheduleError("a crontab of five fields is expected, such as 0 2 * * *")
    try:
        schedule.next_after(_SOME_DAY)
    except CronSimError as error:
        if _is_never_due(schedule, error):
            raise ScheduleError(NEVER_DUE) from error
        raise ScheduleError(f"this is no crontab: {str(error).lower()}") from error
    except (ValueError, RuntimeError, StopIteration, OverflowError, AssertionError) as error:
        raise ScheduleError(NEVER_DUE) from error


def _is_never_due(schedule: Schedule, error: CronSimError) -> bool:
    """Return whether the only fault of a crontab is that none of its months has such a day."""
    if "day-of-month" not in str(error):
        return False
    minute, hour, day, _, weekday = schedule.crontab.split()
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", _SOME_DAY)
    except CronSimError:
        return False
    return True


def _interval_after(count: int, unit: str, moment: datetime, zone: tzinfo) -> datetime:
    if unit not in ("month", "year"):
        return moment + count * _SPANS[unit]
    there = moment.astimezone(zone)
    months = there.year * 12 + there.month - 1 + count * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    day = min(there.day, calendar.monthrange(year, month + 1)[1])
    return there.replace(year=year, month=month + 1, day=day).astimezone(UTC)


@lru_cache(64)
def _zone(name: str) -> tzinfo:
    # A backup may come from a machine that knows more names.
    return UTC if name == "UTC" or read_time_zone(name) is None else ZoneInfo(name)
