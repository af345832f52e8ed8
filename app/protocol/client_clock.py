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

DRIFT, FUTURE, IMPOSSIBLE, TOO_OLD = "clock_drift", "future", "impossible", "too_old"
REASONS = (DRIFT, FUTURE, IMPOSSIBLE, TOO_OLD)
MAX_SAID = 40


class Correction(NamedTuple):
    """What was corrected.

    :param said: the client's time: ISO 8601, or what it sent if that names no moment.
    :param because: one of REASONS.
    """

    said: str
    because: str


def correct_times(envelope: Envelope, received_at: datetime) -> Correction | None:
    """Put the times of an envelope's events right; return what the event's own was.

    :param envelope: is changed; its header ``sent_at`` says what the client's clock showed.
    :param received_at: by this service's clock.
    """
    sent_at = read_timestamp(envelope.headers.get("sent_at"))
    correction = None
    for item in envelope.items:
        if item.type in ("event", "transaction") and isinstance(item.payload, dict):
            item.payload, found = _corrected(item.payload, sent_at, received_at)
            correction = correction or found
    return correction


def _corrected(
    payload: dict[str, Any], sent_at: datetime | None, received_at: datetime
) -> tuple[dict[str, Any], Correction | None]:
    given = payload.get("timestamp")
    at = read_timestamp(given)
    if at is None:
        if given in (None, ""):
            return payload, None
        payload = {**payload, "timestamp": _written(received_at)}
        return payload, Correction(str(given)[:MAX_SAID], IMPOSSIBLE)
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


def _moved_all(one: dict[str, Any], by: timedelta) -> dict[str, Any]:
    names = ("timestamp", "start_timestamp")
    return {**one, **{name: _moved(one[name], by) for name in names if one.get(name) is not None}}


def _moved(value: Any, by: timedelta) -> Any:
    at = read_timestamp(value)
    try:
        return value if at is None else _written(at + by)
    except OverflowError:
        return value


def _written(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
