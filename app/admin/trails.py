"""The trail as a page shows it: an event's hops, and what they come to in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from app.events.trail import Hop, why_not_sent
from app.progress import Progress

_SENTENCES = {
    "local": "Recorded here. It is not sent on: no SENTRY_DSN is set.",
    "pending": "Recorded here and on its way to Sentry.",
    "retry": "Recorded here. Sentry does not have it yet: {reason}. It is tried again by itself.",
    "delivered": "Recorded here and accepted by Sentry.",
    "parked": "Recorded here. Sentry refused it: {reason}.",
    "expired": "Recorded here. It became too old to send: {reason}.",
    "discarded": "Recorded here and deliberately not sent: {reason}.",
}
# States that no time changes; a page need not ask again.
SETTLED = frozenset({"local", "delivered", "parked", "expired", "discarded"})


@dataclass(frozen=True)
class TrailView:
    """What `_trail.html` draws.

    :param hops: none while the store does not have the event yet.
    :param url: where Sentry shows the event.
    :param envelope_id: of the delivery that the event is part of.
    """

    event_id: str
    sentence: str
    hops: list[Hop]
    state: str | None
    settled: bool
    url: str | None = None
    envelope_id: int | None = None


def trail_of(event_id: str, progress: Progress | None) -> TrailView:
    """Return the trail of an event that is, or soon will be, in the store."""
    if progress is None:
        sentence = "Not in the store yet. An event that was set aside is taken in by itself."
        return TrailView(event_id, sentence, [], None, settled=False)
    row = progress.stored.row
    return TrailView(
        event_id,
        sentence_of(row),
        progress.hops,
        row.state,
        settled=row.state in SETTLED,
        url=progress.upstream_url,
        envelope_id=row.envelope_id,
    )


def sentence_of(row: Row[Any]) -> str:
    """Return what became of an envelope so far, in words.

    :param row: with ``state`` and ``reason``.
    """
    reason = row.reason or "no reason was noted"
    if row.state == "discarded":
        reason = why_not_sent(row.reason)
    return _SENTENCES.get(row.state, "Recorded here.").format(reason=reason.rstrip("."))
