"""The trail as pages show it: an event's hops, and its state as a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from app.alerts.notified import Notified
from app.delivery.destinations import Destination
from app.events.states import WAITING
from app.events.trail import Hop, why_not_sent
from app.projects import OWN_PROJECT_ID
from app.web.delivery_status import Progress, is_settled, may_be_confirmed_soon

_SENTENCES = {
    "local": "Recorded here. It is not sent on: {waits_for}.",
    "pending": "Recorded here and on its way to Sentry.",
    "held": "Recorded here. Sentry does not have it yet: {waits_for}.",
    "retry": "Recorded here. Sentry does not have it yet: {reason}. It is tried again by itself.",
    "delivered": "Recorded here and accepted by Sentry.",
    "parked": "Recorded here. Sentry refused it: {reason}.",
    "expired": "Recorded here. It became too old to send: {reason}.",
    "discarded": "Recorded here and deliberately not sent: {reason}.",
    "demo": "Made by flask demo. It is never sent.",
}


@dataclass(frozen=True)
class TrailView:
    """The trail as ``_trail.html`` draws it.

    :param hops: empty while the store does not have the event yet.
    :param settled: whether all hops are final: a page need not reload the trail.
    :param url: the address at which Sentry shows the event.
    :param envelope_id: the envelope that the event arrived in.
    :param lacks_dsn: the project that needs a DSN before its events are forwarded.
    :param notified: who was notified; ``None`` if no rule was to look at the event.
    """

    event_id: str
    sentence: str
    hops: list[Hop]
    state: str | None
    settled: bool
    url: str | None = None
    envelope_id: int | None = None
    lacks_dsn: int | None = None
    notified: Notified | None = None
    project_id: int | None = None


def trail_of(event_id: str, progress: Progress | None) -> TrailView:
    """Return the trail of an event that is in the store, or will be soon.

    :param progress: ``None`` while the store does not have the event.
    """
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
        settled=is_settled(progress) and not may_be_confirmed_soon(progress),
        url=progress.upstream_url,
        envelope_id=row.envelope_id,
        lacks_dsn=lacks_dsn(progress.destination, row.state),
        notified=progress.notified,
        project_id=row.project_id,
    )


def sentence_of(row: Row[Any], waits_for: str) -> str:
    """Return the state of an envelope as a sentence.

    :param row: a row with ``state`` and ``reason``.
    :param waits_for: the result of :func:`app.web.delivery_status.stands_by`.
    """
    reason = row.reason or "no reason was noted"
    if row.state == "discarded":
        reason = why_not_sent(row.reason)
    state = "held" if row.state == "pending" and waits_for else row.state
    # Only our own sentence is a format. Braces in texts of clients or of Sentry stay text.
    words = {"reason": reason.rstrip("."), "waits_for": waits_for}
    return _SENTENCES.get(state, "Recorded here.").format(**words)


def lacks_dsn(destination: Destination, state: str) -> int | None:
    """Return the project that needs a DSN before an envelope can be sent, else ``None``.

    Project 1 is never returned: its DSN is a setting and cannot be entered on a page.
    """
    if destination.dsn is not None or destination.project_id == OWN_PROJECT_ID:
        return None
    return destination.project_id if state in ("local", *WAITING) else None
