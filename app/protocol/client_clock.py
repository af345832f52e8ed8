"""Corrects the times of a client whose clock is wrong. This happens once, on ingest.

timestamp ── impossible? ── drift by sent_at ── in the future, or too long ago? ── stored time

The payload itself is changed, so that every page, every count and every destination has the same
time. The time that the client sent is stored beside the event.

Source: https://develop.sentry.dev/sdk/data-model/envelopes/ (``sent_at``), 2026-11-27.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_list, read_timestamp, read_values

# Synchronised clocks differ by less. The times of an event and of its request also differ by less.
TOLERANCE = timedelta(minutes=1)
# An event may wait this long on a device that is offline. Sentry accepts the same age.
OLDEST = timedelta(days=30)
# Outside of these limits, no clock was running: zero values of programming languages, and the
# largest possible dates.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

_EVENTS = ("event", "transaction", "feedback")
# The names of the times in other items, the decisive one first. All other items have no times
# (check-ins, user reports, attachments), or they belong to a recording whose parts would no longer
# fit together (replays, profiles).
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
    """The correction of the time of an event.

    :param said: the time that the client sent: ISO 8601, or its raw value if it is not a time.
    :param because: one of REASONS.
    """

    said: str
    because: str


def correct_times(envelope: Envelope, received_at: datetime) -> Correction | None:
    """Correct the times of an envelope's items and return the correction of its event.

    :param envelope: changed in place; its header ``sent_at`` has the time of the client's clock.
    :param received_at: the time received, by the clock of this service.
    :return: ``None`` if the time of the event was right.
    """
    sent_at = read_timestamp(envelope.headers.get("sent_at"))
    correction = None
    for item in envelope.items:
        if not isinstance(item.payload, dict):
            continue
        if item.type in _EVENTS:
            item.payload, found = _corrected(item.payload, sent_at, received_at)
            # Feedback has its own row, without the time of the client.
            correction = correction or (None if item.type == "feedback" else found)
        elif names := _TIMES.get(item.type):
            item.payload = _corrected_item(item.payload, names, sent_at, received_at)
    return correction


def _corrected_item(
    payload: dict[str, Any], names: tuple[str, ...], sent_at: datetime | None, received_at: datetime
) -> dict[str, Any]:
    """Return an item with correct times, also in the members of its lists."""
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
    # The first time is when the item ended or was recorded. The others keep their distance to it.
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
    """Return a time in the form of the client.

    Sentry reads the times of sessions only as text, and those of spans as numbers.
    """
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
    """Return the corrected time and the reason, or the same time and ``None``."""
    if not _FIRST <= at < _LAST:
        return received_at, IMPOSSIBLE
    because = None
    # An item that was sent before it happened has times of two clocks. Then sent_at says nothing
    # about the clock of the item.
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
    """Return the other parts of a payload that have times, moved by the same amount."""
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
