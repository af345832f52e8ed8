"""A client's clock may be wrong: its times are corrected once, when they come in.

timestamp ── impossible? ── drift by sent_at ── in the future, or too long ago? ── as it is stored

The payload is changed, so that every page, every count and whoever it is sent on to read the same;
what the client said stands beside the event.

Source: https://develop.sentry.dev/sdk/data-model/envelopes/ (``sent_at``), 2026-11-27.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_list, read_timestamp, read_values

# Clocks that are kept in time differ by less; so does an event from the request that brings it.
TOLERANCE = timedelta(minutes=1)
# As long may an event have lain on a device that was offline; Sentry takes as much.
OLDEST = timedelta(days=30)
# What no clock says that runs: zero values of programming languages, and ends of time.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

_EVENTS = ("event", "transaction", "feedback")
# Times of other items, by name, the decisive one first. Others either have none (check-ins, reports
# of users, attachments) or belong to a recording whose parts would come apart (replays, profiles).
_TIMES = {
    "session": ("timestamp", "started"),
    "sessions": ("started",),
    "client_report": ("timestamp",),
    "log": ("timestamp",),
    "trace_metric": ("timestamp",),
    "span": ("end_timestamp", "timestamp", "start_timestamp"),
}
_LISTS = ("aggregates", "items")

DRIFT, FUTURE, IMPOSSIBLE, TOO_OLD = "clock_drift", "future", "impossible", "too_old"
REASONS = (DRIFT, FUTURE, IMPOSSIBLE, TOO_OLD)
MAX_LENGTH = 40


class Correction(NamedTuple):
    """What was corrected.

    :param said: the client's time: ISO 8601, or what it sent if that names no moment.
    :param because: one of REASONS.
    """

    said: str
    because: str


def correct_times(envelope: Envelope, received_at: datetime) -> Correction | None:
    """Put the times of an envelope's items right; return what the event's own was.

    :param envelope: is changed; its header ``sent_at`` says what the client's clock showed.
    :param received_at: by this service's clock.
    """
    sent_at = read_timestamp(envelope.headers.get("sent_at"))
    correction = None
    for item in envelope.items:
        if not isinstance(item.payload, dict):
            continue
        if item.type in _EVENTS:
            item.payload, found = _corrected(item.payload, sent_at, received_at)
            # What people say has a row of its own, without a time of theirs.
            correction = correction or (None if item.type == "feedback" else found)
        elif names := _TIMES.get(item.type):
            item.payload = _corrected_item(item.payload, names, sent_at, received_at)
    return correction


def _corrected_item(
    payload: dict[str, Any], names: tuple[str, ...], sent_at: datetime | None, received_at: datetime
) -> dict[str, Any]:
    """Put an item's own times right, and those of each member of its list, if it is one."""
    payload = _corrected_times(payload, names, sent_at, received_at)
    for name in _LISTS:
        if members := read_list(payload.get(name)):
            right = [
                _corrected_times(member, names, sent_at, received_at)
                if isinstance(member, dict)
                else member
                for member in members
            ]
            payload = {**payload, name: right}
    return payload


def _corrected_times(
    payload: dict[str, Any], names: tuple[str, ...], sent_at: datetime | None, received_at: datetime
) -> dict[str, Any]:
    times = {name: at for name in names if (at := read_timestamp(payload.get(name))) is not None}
    if not times:
        return payload
    # The first of them is when it ended, or was said; the others keep their distance to it.
    at = next(iter(times.values()))
    right, because = _right_time(at, sent_at, received_at)
    if because is None:
        return payload
    by = timedelta(0) if because == IMPOSSIBLE else right - at
    moved = {name: right if because == IMPOSSIBLE else _sum(times[name], by) for name in times}
    return {**payload, **{name: _in_form_of(payload[name], moved[name]) for name in times}}


def _sum(at: datetime, by: timedelta) -> datetime:
    try:
        return at + by
    except OverflowError:
        return at


def _in_form_of(given: Any, at: datetime) -> Any:
    """Write a time as the client does: Sentry reads sessions as text only, spans as numbers."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return at.timestamp() if is_number else _written(at)


def _corrected(
    payload: dict[str, Any], sent_at: datetime | None, received_at: datetime
) -> tuple[dict[str, Any], Correction | None]:
    given = payload.get("timestamp")
    at = read_timestamp(given)
    if at is None:
        if given in (None, ""):
            return payload, None
        payload = {**payload, "timestamp": _written(received_at)}
        return payload, Correction(str(given)[:MAX_LENGTH], IMPOSSIBLE)
    right, because = _right_time(at, sent_at, received_at)
    if because is None:
        return payload, None
    moved = {**payload, "timestamp": _written(right)}
    if because != IMPOSSIBLE:
        moved |= _moved_parts(payload, right - at)
    elif payload.get("start_timestamp") is not None:
        moved["start_timestamp"] = _moved(payload["start_timestamp"], right - at)
    return moved, Correction(at.isoformat(), because)


def _right_time(
    at: datetime, sent_at: datetime | None, received_at: datetime
) -> tuple[datetime, str | None]:
    """Return when something happened, and why that is not what the client said."""
    if not _FIRST <= at < _LAST:
        return received_at, IMPOSSIBLE
    because = None
    # What was sent before it happened is of two clocks, which tell nothing of each other.
    if sent_at is not None and at <= sent_at + TOLERANCE:
        drift = received_at - sent_at
        if abs(drift) > TOLERANCE:
            at, because = min(received_at, received_at - (sent_at - at)), DRIFT
    if at > received_at + TOLERANCE:
        return received_at, FUTURE
    if at < received_at - OLDEST:
        return received_at, TOO_OLD
    return at, because


def _moved_parts(payload: dict[str, Any], by: timedelta) -> dict[str, Any]:
    """Return what else of a payload has times, moved by as much."""
    moved: dict[str, Any] = {}
    if payload.get("start_timestamp") is not None:
        moved["start_timestamp"] = _moved(payload["start_timestamp"], by)
    if crumbs := read_values(payload.get("breadcrumbs")):
        moved["breadcrumbs"] = {"values": [_moved_all(crumb, by) for crumb in crumbs]}
    if spans := read_list(payload.get("spans")):
        moved["spans"] = [_moved_all(span, by) if read_dict(span) else span for span in spans]
    return moved


def _moved_all(payload: dict[str, Any], by: timedelta) -> dict[str, Any]:
    names = ("timestamp", "start_timestamp")
    return {
        **payload,
        **{name: _moved(payload[name], by) for name in names if payload.get(name) is not None},
    }


def _moved(value: Any, by: timedelta) -> Any:
    at = read_timestamp(value)
    try:
        return value if at is None else _written(at + by)
    except OverflowError:
        return value


def _written(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
