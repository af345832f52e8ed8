"""The trail: what happened to an event, hop by hop."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row

from app.protocol.event import Event


class Hop(NamedTuple):
    """One step of an event.

    :param at: when it was reached; ``None`` while it is not.
    :param ms: milliseconds that the step took.
    :param ok: ``None`` while it is open, ``False`` when it failed; ``detail`` names the cause.
    """

    hop: str
    at: datetime | None = None
    ms: float | None = None
    ok: bool | None = None
    detail: str = ""


def trail(row: Row[Any], event: Event) -> list[Hop]:
    """Return the hops of an event.

    :param row: of ``events``, with the envelope's ``state`` and ``reason``.
    """
    scrubbed_at = row.received_at + timedelta(milliseconds=row.scrub_ms)
    stored_ms = (row.stored_at - row.received_at) / timedelta(milliseconds=1)
    return [
        Hop("captured", row.timestamp, None, True, _by(event)),
        Hop("scrubbed", scrubbed_at, round(row.scrub_ms, 2), True, _taken_out(len(row.scrubbed))),
        Hop("stored", row.stored_at, round(max(stored_ms, 0.0), 2), True, "on the disk"),
        *_delivery(row),
    ]


def _by(event: Event) -> str:
    name, version = event.sdk.get("name"), event.sdk.get("version")
    return f"by {name} {version or ''}".strip() if name else ""


def _taken_out(count: int) -> str:
    if not count:
        return "nothing to take out"
    return "1 value taken out" if count == 1 else f"{count} values taken out"


def _delivery(row: Row[Any]) -> list[Hop]:
    if row.state == "local":
        return [Hop("sent", detail="stays here: no SENTRY_DSN is set"), Hop("accepted")]
    if row.state == "discarded":
        return [Hop("sent", detail=f"not sent: {row.reason}"), Hop("accepted")]
    if row.settled_at is None:
        return [Hop("sent", detail="on its way"), Hop("accepted")]
    if row.state != "delivered":
        return [Hop("sent", row.settled_at, ok=False, detail=row.reason or ""), Hop("accepted")]
    ms = round(max((row.settled_at - row.stored_at) / timedelta(milliseconds=1), 0.0), 2)
    return [Hop("sent", row.settled_at, ms, True), Hop("accepted", row.settled_at, None, True)]
