"""What a monitor expects, as a program says it with a check-in, or a person on a page or by API.

Source: https://develop.sentry.dev/sdk/telemetry/check-ins/, 2026-11-28.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import Row

from app.inputs import Body, Control, InputError
from app.monitors.machine import Expectation
from app.monitors.schedule import Schedule, ScheduleError, checked_schedule, checked_zone
from app.monitors.tables import MAX_NAME
from app.protocol.event import clean_text
from app.protocol.lenient import read_dict, read_int, read_number
from app.protocol.slug import MAX_SLUG

# The bounds and defaults of Sentry: four weeks in minutes, and 720 runs.
MAX_MINUTES = 40_320
MAX_RUNS = 720
DEFAULTS: Mapping[str, Any] = {
    "schedule_type": None,
    "schedule_value": None,
    "schedule_unit": None,
    "timezone": "UTC",
    "checkin_margin": 1,
    "max_runtime": 30,
    "failure_issue_threshold": 1,
    "recovery_threshold": 1,
}
# A slug is read before its length is checked; a longer text is surely a mistake.
MAX_RAW_SLUG = 10 * MAX_SLUG
_BOUNDS = {
    "checkin_margin": MAX_MINUTES,
    "max_runtime": MAX_MINUTES,
    "failure_issue_threshold": MAX_RUNS,
    "recovery_threshold": MAX_RUNS,
}

Unit = Literal["minute", "hour", "day", "week", "month", "year"]
Slug = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_RAW_SLUG,
        description=f"Stored as at most {MAX_SLUG} small letters, digits, - and _.",
    ),
    Control("Slug", placeholder="nightly-report", help="What check-ins name it by."),
]
Name = Annotated[str, Field(max_length=MAX_NAME), Control("Name", help="Empty: the slug.")]
Zone = Annotated[str, Field(max_length=64), Control("Time zone", placeholder="Europe/Berlin")]
Margin = Annotated[
    int,
    Field(ge=1, le=MAX_MINUTES, description="Minutes after which a run is missed."),
    Control("Missed after", help="Minutes after the expected time."),
]
Runtime = Annotated[
    int,
    Field(ge=1, le=MAX_MINUTES, description="Minutes after which a run times out."),
    Control("Times out after", help="Minutes after its beginning."),
]
Failures = Annotated[
    int,
    Field(ge=1, le=MAX_RUNS, description="Failed runs in a row until it is failing."),
    Control("Failing after", help="Failed runs in a row."),
]
Recoveries = Annotated[
    int,
    Field(ge=1, le=MAX_RUNS, description="Runs in a row that end well until it is ok again."),
    Control("Ok again after", help="Runs in a row that end well."),
]


class MonitorError(InputError):
    """A monitor cannot be stored with these values."""


class ScheduleInput(Body):
    """A crontab, or an interval with its unit."""

    type: Literal["crontab", "interval"]
    value: Annotated[str | int, Field(description="Such as `0 2 * * *`, or 15.")]
    unit: Unit | None = None


class MonitorSettings(Body):
    """What a monitor expects; without a schedule no run is expected."""

    name: Name = ""
    schedule: ScheduleInput | None = None
    timezone: Zone = "UTC"
    checkin_margin: Margin = 1
    max_runtime: Runtime = 30
    failure_issue_threshold: Failures = 1
    recovery_threshold: Recoveries = 1


class NamedMonitor(MonitorSettings):
    """A monitor with its slug."""

    slug: Slug


def read_config(given: object) -> tuple[dict[str, Any], str | None] | None:
    """Return the columns that ``monitor_config`` of a check-in sets, and what is wrong in it.

    A wrong number is replaced by its default. ``None`` if the check-in has no configuration.
    """
    config = read_dict(given)
    if not config:
        return None
    values = dict(DEFAULTS)
    for name, largest in _BOUNDS.items():
        number = read_int(config.get(name))
        if number is not None:
            values[name] = min(max(1, number), largest)
    schedule = read_dict(config.get("schedule"))
    zone = config.get("timezone") or "UTC"
    try:
        unit = schedule.get("unit")
        kind, text_unit = schedule.get("type"), unit if isinstance(unit, str) else None
        found = checked_schedule(str(kind)[:20], schedule.get("value"), text_unit, zone)
    except ScheduleError as error:
        return {}, f"{error.field}: {error}"
    return values | columns_of(found), None


def wrong_number(config: Mapping[str, Any]) -> str | None:
    """Return the field of ``monitor_config`` that is no number in its bounds, with what is."""
    for name, largest in _BOUNDS.items():
        given = config.get(name)
        number = read_number(given)
        is_right = number is not None and number % 1 == 0 and 1 <= number <= largest
        if given is not None and not is_right:
            return f"{name}: a whole number from 1 to {largest:,} is expected"
    return None


def columns_of(schedule: Schedule | None) -> dict[str, Any]:
    """Return the columns of a schedule."""
    if schedule is None:
        return {"schedule_type": None, "schedule_value": None, "schedule_unit": None}
    return {
        "schedule_type": schedule.type,
        "schedule_value": schedule.value,
        "schedule_unit": schedule.unit,
        "timezone": schedule.timezone,
    }


def checked_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns for fields of :class:`MonitorSettings`.

    :raise MonitorError: a field is not valid.
    """
    columns = {name: value for name, value in values.items() if name != "schedule"}
    columns["name"] = clean_text((values.get("name") or "").strip())
    wanted, zone = values.get("schedule"), values["timezone"]
    try:
        if wanted is None:
            return columns | columns_of(None) | {"timezone": checked_zone(zone)}
        found = checked_schedule(wanted["type"], wanted["value"], wanted.get("unit"), zone)
    except ScheduleError as error:
        raise MonitorError(str(error), error.field) from error
    return columns | columns_of(found)


def schedule_of(row: Row[Any]) -> Schedule | None:
    """Return the schedule of a row of ``monitors``."""
    if row.schedule_type is None:
        return None
    return Schedule(row.schedule_type, row.schedule_value, row.schedule_unit, row.timezone)


def expectation_of(row: Row[Any]) -> Expectation:
    """Return what is expected of a row of ``monitors``."""
    return Expectation(
        schedule_of(row),
        timedelta(minutes=row.checkin_margin),
        timedelta(minutes=row.max_runtime),
        row.failure_issue_threshold,
        row.recovery_threshold,
        row.paused,
    )
