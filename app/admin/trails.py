"""The trail as a page shows it: an event's hops, and what they come to in words."""

from __future__ import annotations

from dataclasses import dataclass

from app.events.queries import StoredEvent
from app.events.trail import Hop, trail

_SENTENCES = {
    "local": "Recorded here. It is not sent on: no SENTRY_DSN is set.",
    "pending": "Recorded here and on its way to Sentry.",
    "retry": "Recorded here. Sentry did not take it yet; it will be tried again.",
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
    """

    event_id: str
    sentence: str
    hops: list[Hop]
    state: str | None
    settled: bool


def trail_of(event_id: str, stored: StoredEvent | None) -> TrailView:
    """Return the trail of an event that is, or soon will be, in the store."""
    if stored is None:
        sentence = "Not in the store yet. An event that was set aside is taken in by itself."
        return TrailView(event_id, sentence, [], None, settled=False)
    state, reason = stored.row.state, stored.row.reason or "no reason was noted"
    sentence = _SENTENCES.get(state, "Recorded here.").format(reason=reason.rstrip("."))
    if state == "pending" and stored.row.reason:
        sentence = f"Recorded here. Sentry does not have it: {stored.row.reason}."
    hops = trail(stored.row, stored.event)
    return TrailView(event_id, sentence, hops, state, settled=state in SETTLED)
