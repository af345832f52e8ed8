"""When the ignoring of an issue ends: the object of the API, which an issue stores as JSON.

:mod:`app.issues.unignoring` checks whether the condition holds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.inputs import Body
from app.stats.users import MAX_USERS

MAX_EVENTS = 1_000_000
MAX_WINDOW_MINUTES = 7 * 24 * 60


class Until(StrEnum):
    """The kinds of conditions, which are the names of their fields."""

    AT = "at"
    EVENTS = "events"
    USERS = "users"
    WORSE = "worse"
    NEXT_RELEASE = "next_release"


def _text_only(value: Any) -> Any:
    """Refuse numbers, which pydantic would read as seconds since 1970."""
    if isinstance(value, (str, datetime)):
        return value
    raise PydanticCustomError("datetime_type", "a time with its time zone is expected")


Moment = Annotated[AwareDatetime, BeforeValidator(_text_only), Field(strict=False)]


class IgnoreUntil(Body):
    """The condition that ends the ignoring of an issue: exactly one of the fields.

    Events and users are those since the issue was ignored. `window_minutes` belongs to `events` or
    `users`: so many within the window.
    """

    at: Moment | None = Field(None, description="At this time.")
    events: Annotated[int, Field(ge=1, le=MAX_EVENTS)] | None = Field(
        None, description="After so many more events."
    )
    users: Annotated[int, Field(ge=1, le=MAX_USERS)] | None = Field(
        None, description="After so many more users; within a window, so many different users."
    )
    window_minutes: Annotated[int, Field(ge=1, le=MAX_WINDOW_MINUTES)] | None = None
    worse: Literal[True] | None = Field(
        None,
        description="When an hour has more than 10 events, and more than three times those of the"
        " busiest hour of the seven days before.",
    )
    next_release: Literal[True] | None = Field(
        None, description="When the next release of the project appears."
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        given = [name for name in Until if getattr(self, name) is not None]
        if len(given) != 1:
            names = ", ".join(f"`{name}`" for name in Until)
            raise PydanticCustomError("one_of", f"exactly one of {names} is expected")
        if self.window_minutes and given[0] not in (Until.EVENTS, Until.USERS):
            raise PydanticCustomError(
                "no_window", "`window_minutes` belongs to `events` or `users`"
            )
        return self

    # A return type would replace the fields in the OpenAPI document.
    @model_serializer(mode="wrap")
    def _given_fields(self, handler: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        return {name: value for name, value in handler(self).items() if value is not None}

    @property
    def kind(self) -> Until:
        """The kind of the condition."""
        return next(name for name in Until if getattr(self, name) is not None)

    @property
    def looks_at_time(self) -> bool:
        """Whether the condition looks at when events happened, and not only at their number."""
        return bool(self.worse or self.window_minutes)

    @property
    def stored(self) -> str:
        """The text that an issue stores; equal conditions have equal texts."""
        utc = {"at": self.at.astimezone(UTC)} if self.at else {}
        return self.model_copy(update=utc).model_dump_json()


def read_stored(text: str | None) -> IgnoreUntil | None:
    """Return the condition that an issue stores, ``None`` without one."""
    return IgnoreUntil.model_validate_json(text) if text else None


def words_of(until: IgnoreUntil, now: datetime) -> str:
    """Return a condition as ``until 14:00 UTC`` or ``until 50 more users``.

    A time is in the zone in which it was given; a stored condition has UTC.
    """
    if until.at:
        return f"until {moment_of(until.at, now)}"
    if until.worse:
        return "until it gets worse"
    if until.next_release:
        return "until the next release"
    number, noun = (until.events, "event") if until.events else (until.users or 0, "user")
    nouns = f"{noun}{'' if number == 1 else 's'}"
    if until.window_minutes:
        return f"until {number:,} {nouns} within {span_of(until.window_minutes)}"
    return f"until {number:,} more {nouns}"


def moment_of(at: datetime, now: datetime) -> str:
    """Return a time as ``14:00 UTC``, ``28 Nov 09:00 UTC+01:00``; the day only if it is another."""
    zone = timezone(at.utcoffset() or timedelta())
    clock = f"{at:%H:%M} {at.astimezone(zone).tzname()}"
    if at.date() == now.astimezone(zone).date():
        return clock
    year = f" {at.year}" if abs(at - now) > timedelta(days=300) else ""
    return f"{at.day} {at:%b}{year} {clock}"


def span_of(minutes: int) -> str:
    """Return minutes as ``a day``, ``6 hours`` or ``90 minutes``."""
    for unit, name in ((1440, "day"), (60, "hour")):
        count, rest = divmod(minutes, unit)
        if count and not rest:
            return f"{'a' if name == 'day' else 'an'} {name}" if count == 1 else f"{count} {name}s"
    return f"{minutes} minutes" if minutes > 1 else "a minute"
