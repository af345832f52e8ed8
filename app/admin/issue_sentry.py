"""Whether Sentry has the events of an issue, as one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from app.admin.trails import lacks_dsn
from app.delivery.destinations import Destination
from app.delivery.upstreams import held_up_by, why_local
from app.events.queries import MAX_COUNTED, DeliveryCount
from app.events.states import EnvelopeState
from app.events.trail import why_not_sent


class AtSentry(NamedTuple):
    """How many of an issue's events Sentry has.

    :param state: of most of the events that Sentry does not have; ``delivered`` if it has all.
    :param words: the sentence, without its full stop.
    :param events: how many are in that state.
    :param envelope_id: the newest envelope of that state; ``None`` if Sentry has all events.
    :param lacks_dsn: the project that needs a DSN before its events are forwarded.
    """

    state: str
    words: str
    events: int
    envelope_id: int | None = None
    lacks_dsn: int | None = None


def at_sentry(
    counts: Sequence[DeliveryCount], destination: Destination, now: datetime
) -> AtSentry | None:
    """Return how many of an issue's events Sentry has; ``None`` without stored events.

    :param counts: of :func:`app.events.queries.count_deliveries`.
    :param destination: of the issue's project.
    """
    total = sum(row.number for row in counts)
    missing = [row for row in counts if row.state != EnvelopeState.DELIVERED]
    newest = "the newest " if total == MAX_COUNTED else ""
    if not missing:
        words = f"Sentry has {total:,} of {newest}{total:,}"
        return AtSentry("delivered", words, total) if total else None
    most = max(missing, key=lambda row: row.number)
    lacking = sum(row.number for row in missing)
    why = _why(most, destination, now)
    words = f"{lacking:,} of {newest}{total:,} not at Sentry: {why}"
    needs = lacks_dsn(destination, most.state)
    return AtSentry(most.state, words, most.number, most.envelope_id, needs)


def _why(row: DeliveryCount, destination: Destination, now: datetime) -> str:
    if row.state == EnvelopeState.LOCAL:
        return why_local(destination)
    if row.state == EnvelopeState.DISCARDED:
        return why_not_sent(row.reason)
    if row.state == EnvelopeState.PENDING:
        return held_up_by(destination, "", now) or "on the way"
    return (row.reason or str(row.state)).rstrip(".")
