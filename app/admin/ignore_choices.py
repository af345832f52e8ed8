"""The choices of the menu *Ignore*: what ends the ignoring of an issue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import abort, request
from flask_login import current_user
from pydantic import ValidationError

from app.issues.ignore_until import IgnoreUntil

MORNING = 9
_HOUR, _WEEK = timedelta(hours=1), timedelta(days=7)
# Somewhere on earth tomorrow's morning is this far away; zones are from UTC-12 to UTC+14.
_LAST_MORNING = timedelta(days=2)


def _tomorrow(now: datetime) -> IgnoreUntil:
    # That of the zone that the user chose. Without one, scripts send that of the browser's zone;
    # without scripts it is that of UTC.
    chosen: str | None = current_user.time_zone
    text = request.form.get("morning")
    if text and not chosen:
        return IgnoreUntil(at=_morning(text, now))
    there = now.astimezone(ZoneInfo(chosen or "UTC")) + timedelta(days=1)
    return IgnoreUntil(at=there.replace(hour=MORNING, minute=0, second=0, microsecond=0))


def _morning(text: str, now: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = now.replace(tzinfo=None)
    if at.tzinfo is None or not now < at < now + _LAST_MORNING:
        abort(400, description="morning: a time of the next two days with its zone is expected")
    return at


def _more(name: str) -> Callable[[datetime], IgnoreUntil]:
    def read(_: datetime) -> IgnoreUntil:
        given = {name: _number(f"more_{name}"), "window_minutes": _number(f"window_{name}")}
        return IgnoreUntil.model_validate(given)

    return read


def _number(name: str) -> int | None:
    text = request.form.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


# By the end of the action's name.
CHOICES: dict[str, Callable[[datetime], IgnoreUntil]] = {
    "worse": lambda _: IgnoreUntil(worse=True),
    "hour": lambda now: IgnoreUntil(at=now + _HOUR),
    "tomorrow": _tomorrow,
    "week": lambda now: IgnoreUntil(at=now + _WEEK),
    "next": lambda _: IgnoreUntil(next_release=True),
    "events": _more("events"),
    "users": _more("users"),
}


def read_until(choice: Callable[[datetime], IgnoreUntil], now: datetime) -> IgnoreUntil:
    """Return what a choice means for the form that was sent.

    :raise 400: a number of events or users is not in its bounds.
    """
    try:
        return choice(now)
    except ValidationError:
        abort(400, description="the number of events or users is missing, or too large")
