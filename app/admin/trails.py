"""The trail as a page shows it: an event's hops, and what they come to in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from app.delivery.destinations import Destination
from app.events.states import WAITING
from app.events.trail import Hop, why_not_sent
from app.projects import OWN_PROJECT_ID
from app.web.delivery_status import Progress

_SENTENCES = {
    "local": "Recorded here. It is not sent on: {waits_for}.",
    "pending": "Recorded here and on its way to Sentry.",
    "held": "Recorded here. Sentry does not have it yet: {waits_for}.",
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
    :param lacks_dsn: the project that needs a DSN of its own before its events go on.
    """

    event_id: str
    sentence: str
    hops: list[Hop]
    state: str | None
    settled: bool
    url: str | None = None
    envelope_id: int | None = None
    lacks_dsn: int | None = None


def trail_of(event_id: str, progress: Progress | None) -> TrailView:
    """Return the trail of an event that is, or soon will be, in the store."""
    if progress is None:
        sentence = (
            "Not in the store yet. Events in the emergency folder are recovered by themselves."
        )
        return TrailView(event_id, sentence, [], None, settled=False)
    row = progress.stored.row
    return TrailView(
        event_id,
        sentence_of(row, progress.waits_for),
        progress.hops,
        row.state,
        settled=row.state in SETTLED,
        url=progress.upstream_url,
        envelope_id=row.envelope_id,
        lacks_dsn=lacks_dsn(progress.destination, row.state),
    )


def sentence_of(row: Row[Any], waits_for: str) -> str:
    """Return what became of an envelope so far, in words.

    :param row: with ``state`` and ``reason``.
    :param waits_for: of :func:`app.web.application.delivery_status.stands_by`.
    """
    reason = row.reason or "no reason was noted"
    if row.state == "discarded":
        reason = why_not_sent(row.reason)
    state = "held" if row.state == "pending" and waits_for else row.state
    # Braces of a client's, or of Sentry's, are text: only our own sentence is a format.
    words = {"reason": reason.rstrip("."), "waits_for": waits_for}
    return _SENTENCES.get(state, "Recorded here.").format(**words)


def lacks_dsn(destination: Destination, state: str) -> int | None:
    """Return the project whose page takes the DSN that an envelope lacks, if that is the reason.

    Project 1 has no such page: its DSN is a setting.
    """
    if destination.dsn is not None or destination.project_id == OWN_PROJECT_ID:
        return None
    return destination.project_id if state in ("local", *WAITING) else None
