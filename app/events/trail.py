"""The trail of an event: the steps from the client to Sentry."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row

from app.events.states import EnvelopeState
from app.protocol.event import Event


class Hop(NamedTuple):
    """A step of an event.

    :param hop: the name of the step.
    :param at: when the step was reached; ``None`` before that.
    :param ms: the duration of the step in milliseconds.
    :param ok: ``None`` while the step is open, ``False`` when it failed.
    :param detail: more about the step, such as the cause of a failure.
    """

    hop: str
    at: datetime | None = None
    ms: float | None = None
    ok: bool | None = None
    detail: str = ""


def trail(
    row: Row[Any], event: Event, waits_for: str = "", next_at: datetime | None = None
) -> list[Hop]:
    """Return the steps of an event, from its capture to its delivery.

    :param row: of ``events``, with the envelope's :data:`~app.events.queries.DELIVERY_COLUMNS`.
    :param waits_for: the reason, in words, why no envelope of the project is sent; empty without.
    :param next_at: the time of the next attempt, never in the past; ``None`` when it is due.
    """
    scrubbed_at = row.received_at + timedelta(milliseconds=row.scrub_ms)
    stored_ms = (row.stored_at - row.received_at) / timedelta(milliseconds=1)
    return [
        Hop("captured", row.timestamp, None, True, _by(event)),
        Hop("scrubbed", scrubbed_at, round(row.scrub_ms, 2), True, _taken_out(len(row.scrubbed))),
        Hop("stored", row.stored_at, round(max(stored_ms, 0.0), 2), True, "on the disk"),
        *delivery_hops(row, row.stored_at, waits_for, next_at),
    ]


def _by(event: Event) -> str:
    name, version = event.sdk.get("name"), event.sdk.get("version")
    return f"by {name} {version or ''}".strip() if name else ""


def _taken_out(count: int) -> str:
    if not count:
        return "nothing to take out"
    return "1 value taken out" if count == 1 else f"{count} values taken out"


def delivery_hops(
    row: Row[Any], stored_at: datetime, waits_for: str = "", next_at: datetime | None = None
) -> list[Hop]:
    """Return the delivery steps of an envelope, from the store to Sentry.

    :param row: with the :data:`~app.events.queries.DELIVERY_COLUMNS`.
    :param stored_at: when the envelope was stored.
    :param waits_for: and ``next_at``: as for :func:`trail`.
    """
    if row.state == EnvelopeState.DELIVERED:
        took = (row.settled_at or stored_at) - stored_at
        ms = round(max(took / timedelta(milliseconds=1), 0.0), 2)
        return [Hop("sent", row.settled_at, ms, True), Hop("accepted", row.settled_at, None, True)]
    if row.state == EnvelopeState.LOCAL:
        why = ": ".join(filter(None, ("stays here", waits_for)))
        return [Hop("sent", detail=why), Hop("accepted")]
    if row.state == EnvelopeState.DEMO:
        return [Hop("sent", detail="a demo is never sent"), Hop("accepted")]
    if row.state == EnvelopeState.DISCARDED:
        return [Hop("sent", detail=f"not sent: {why_not_sent(row.reason)}"), Hop("accepted")]
    if row.attempts == 0 and not (row.state == EnvelopeState.PARKED and row.reason):
        return [Hop("sent", detail=_until_sent(row, waits_for)), Hop("accepted")]
    return _failed(row, waits_for, next_at)


def _failed(row: Row[Any], waits_for: str, next_at: datetime | None) -> list[Hop]:
    """Return the delivery steps of a failed envelope: it failed before or with Sentry's answer."""
    detail = "; ".join(filter(None, (row.reason, _what_next(row, waits_for, next_at))))
    if _was_answered(row.reason or ""):
        return [
            Hop("sent", row.settled_at, ok=True),
            Hop("accepted", row.settled_at, ok=False, detail=detail),
        ]
    return [Hop("sent", row.settled_at, ok=False, detail=detail), Hop("accepted")]


def why_not_sent(reason: str | None) -> str:
    """Return the reason, in words, why an envelope was discarded."""
    return _DISCARDED.get(reason or "", reason or "no reason was noted")


_DISCARDED = {
    "sample_rate": "sampled out (SENTRY_SAMPLE_RATE or SENTRY_ERROR_SAMPLE_RATES)",
    "issue_cap": "capped (DELIVERY_MAX_PER_ISSUE_PER_HOUR): enough of its issue in this hour",
    "by_person": "a person discarded it",
}


def _until_sent(row: Row[Any], waits_for: str) -> str:
    if row.state == EnvelopeState.EXPIRED:
        return "too old to send; it can be replayed"
    return waits_for or "on its way"


def _what_next(row: Row[Any], waits_for: str, next_at: datetime | None) -> str:
    if row.state == EnvelopeState.PARKED:
        return "parked: a person must look"
    if row.state == EnvelopeState.EXPIRED:
        return "too old to send; it can be replayed"
    if waits_for:
        # The reason of the row is already in front of this text.
        return waits_for.replace(f" ({row.reason})", "")
    return f"next try at {next_at:%H:%M:%S} UTC" if next_at else "the next try is due"


def _was_answered(reason: str) -> bool:
    return reason[:3].isdigit() or reason.startswith("what answered")
