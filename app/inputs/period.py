"""Ranges of time: which part of the past a page or an answer of the API is about.

A request names a period that ends now, or gives ``start`` and ``end``::

    class EventFilter(RangeFilter): ...

    chosen = filter.range_of(now, default="day")
    chosen.start, chosen.end, chosen.before()

Figures are counted by the hour for HOURS_KEPT and by the day for DAYS_KEPT. So a period begins
with the hour in which it begins, or with the day if it is longer than the hours are kept. Lists
begin there too, so that a list has as many rows as the figure beside it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from app.inputs.controls import Control
from app.inputs.filters import Filter

PeriodName = Literal["hour", "day", "week", "month", "quarter", "all"]
PERIODS: dict[str, timedelta | None] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
    "quarter": timedelta(days=90),
    "all": None,
}
LABELS = {
    "hour": "Last hour",
    "day": "Last 24 hours",
    "week": "Last 7 days",
    "month": "Last 30 days",
    "quarter": "Last 90 days",
    "all": "All",
}
# How long events are counted by the hour and then by the day, at least.
HOURS_KEPT = timedelta(days=8)
DAYS_KEPT = timedelta(days=90)
HOUR_S, DAY_S = 3600, 86400
# Adding the length of any range to these does not leave the years that Python knows.
FIRST_YEAR, LAST_YEAR = 1970, 2199


@dataclass(frozen=True)
class Range:
    """A range of time.

    :param name: the name of its period; empty for a range with a given start or end.
    :param start: inclusive; ``None`` without a start.
    :param end: exclusive; ``None`` if it goes on until now. An event of a client whose clock is
        fast may be a few seconds ahead of this service's clock: it belongs to such a range.
    :param now: the time at which the range was read.
    """

    name: str
    start: datetime | None
    end: datetime | None
    now: datetime

    @property
    def is_all(self) -> bool:
        """Whether it has neither a start nor an end."""
        return self.start is None and self.end is None

    @property
    def until(self) -> datetime:
        """The end of the range, or now."""
        return self.end or self.now

    @property
    def length(self) -> timedelta | None:
        """The length of the range until now; ``None`` without a start."""
        return None if self.start is None else max(self.until - self.start, timedelta())

    @property
    def step_s(self) -> int:
        """The interval of its series, in seconds: an hour, or a day if hours are not kept."""
        if self.start is None or self.start < self.now - HOURS_KEPT:
            return DAY_S
        return HOUR_S

    def before(self) -> Range | None:
        """Return the range of the same length before this one; ``None`` if nothing is kept of it.

        :return: a range with a start and an end.
        """
        if self.start is None or not self.length:
            return None
        start = self.start - self.length
        if start < floor(self.now - DAYS_KEPT, DAY_S):
            return None
        return Range("", start, self.start, self.now)

    def has(self, moment: datetime) -> bool:
        """Return whether a moment is in the range."""
        is_after = self.start is None or moment >= self.start
        return is_after and (self.end is None or moment < self.end)


def period_range(name: str, now: datetime) -> Range:
    """Return the range of a period that ends now.

    :param name: a key of :data:`PERIODS`.
    """
    length = PERIODS[name]
    if length is None:
        return Range(name, None, None, now)
    start = now - length
    return Range(name, floor(start, HOUR_S if length < HOURS_KEPT else DAY_S), None, now)


def floor(moment: datetime, step_s: int) -> datetime:
    """Return the beginning of the hour or the day (UTC) of a moment.

    :param step_s: a number of seconds that divides a day.
    """
    seconds = int(moment.timestamp())
    return datetime.fromtimestamp(seconds - seconds % step_s, UTC)


def read_moment(text: str) -> datetime | None:
    """Read a time as RFC 3339, as a date, or as ``<input type="datetime-local">`` sends it.

    A time without a zone is in UTC. A date is the beginning of the day.

    :return: ``None`` if it is not a time, or not of a year from 1970 to 2199.
    """
    # The "+" of the time zone arrives as a space if the client did not escape it.
    first, _, last = text.strip().rpartition(" ")
    for spelled in (text.strip(), f"{first}+{last}"):
        try:
            read = datetime.fromisoformat(spelled)
            read = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        return read if FIRST_YEAR <= read.year <= LAST_YEAR else None
    return None


def _start_of(value: Any) -> Any:
    return _moment(value)


def _end_of(value: Any) -> Any:
    # A day as the end of a range is a part of the range.
    return _moment(value) + timedelta(days=1) if _is_date(value) else _moment(value)


def _moment(value: Any) -> datetime:
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    read = read_moment(text)
    if read is None:
        raise PydanticCustomError(
            "moment", "a date, or a date and time as in RFC 3339, is expected"
        )
    return read


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value.strip()))
    except ValueError:
        return False


Period = Annotated[PeriodName, Field(description="A period that ends now.")]
Start = Annotated[
    datetime, BeforeValidator(_start_of), Field(description="It happened at or after.")
]
End = Annotated[
    datetime,
    BeforeValidator(_end_of),
    Field(description="It happened before; a date without a time is the end of that day."),
]


class RangeFilter(Filter):
    """A filter by the time at which something happened: a period, or a start and an end."""

    period: Annotated[Period | None, Control("Range")] = None
    start: Annotated[Start | None, Control("From (UTC)", max_length=40)] = None
    end: Annotated[End | None, Control("To (UTC)", max_length=40)] = None

    @field_validator("start", "end")
    @classmethod
    def _without_period(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        if value is not None and info.data.get("period"):
            message = "give either a period, or a start and an end"
            raise PydanticCustomError("range", message)
        return value

    @field_validator("end")
    @classmethod
    def _after_start(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        start = info.data.get("start")
        if value is not None and start is not None and value <= start:
            raise PydanticCustomError("range", "the end has to be after the start")
        return value

    def range_of(self, now: datetime, default: str = "all") -> Range:
        """Return the range.

        :param default: the period if the request says nothing.
        """
        if self.start is None and self.end is None:
            return period_range(self.period or default, now)
        return Range("", self.start, self.end, now)
