"""Say in one sentence where a test error is, and what to do if it stopped.

>>> answer_of(progress).words
'Recorded in 14 ms, accepted by Sentry in 212 ms, notification sent to #shop.'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.alerts.notified import Notified
from app.delivery.upstreams import why_local
from app.events.states import EnvelopeState
from app.events.trail import Hop, why_not_sent
from app.projects import OWN_PROJECT_ID
from app.trials.sending import ARCHIVED, why_refused
from app.web.delivery_status import Progress, is_settled

Tone = Literal["good", "bad", "note"]
Place = Literal["project", "deliveries", "delivery", "rules", "channels", "channel", "keys"]

NOT_STORED = "Not in the store yet. Events in the emergency folder are recovered by themselves."
_WRONG_DSN = frozenset({"401", "403", "404", "407", "508"})
_STATUS = re.compile(r"\b([1-5]\d\d)\b")


class Remedy(NamedTuple):
    """What a person can do: the words of a button, and the page that it leads to.

    :param id: of the project, the envelope or the channel that the page is about.
    """

    words: str
    place: Place
    id: int | None = None


@dataclass(frozen=True)
class Answer:
    """The answer to a test error.

    :param stopped_at: the hop that it stopped at; empty if it did not stop.
    :param cause: why it stopped, in words.
    """

    tone: Tone
    words: str
    remedies: tuple[Remedy, ...] = ()
    is_settled: bool = False
    stopped_at: str = ""
    cause: str = ""


class _Way(NamedTuple):
    """The delivery of an event: ``joins`` if the words go on with the sentence before."""

    tone: Tone
    words: str
    joins: bool = False
    remedy: Remedy | None = None
    stopped_at: str = ""
    cause: str = ""


def answer_of(progress: Progress | None) -> Answer:
    """Return the answer to a test error that was recorded.

    :param progress: ``None`` while the store does not have the event.
    """
    if progress is None:
        return Answer("note", NOT_STORED)
    way = _way(progress)
    told = progress.notified
    sentence = f"Recorded in {duration(_hop(progress, 'stored').ms)}"
    sentence += f"{', ' if way.joins else '. '}{way.words}"
    if told is not None:
        is_sent = told.hop.ok is True and way.joins
        sentence += f", {told.words}" if is_sent else f". {_capital(told.words)}"
    elif is_settled(progress):
        sentence += ". No notification: it is in a known issue"
    found = way.remedy, _alert_remedy(progress, told) if told else None
    remedies = tuple(remedy for remedy in found if remedy is not None)
    tone: Tone = "bad" if told is not None and told.hop.ok is False else way.tone
    settled = is_settled(progress)
    words = f"{sentence.rstrip('.')}."
    return Answer(tone, words, remedies, settled, way.stopped_at, way.cause)


def refusal(project_id: int, status: int) -> Answer:
    """Return the answer to a test error that was not recorded.

    :param status: as in :class:`~app.trials.sending.Sent`.
    """
    cause = why_refused(status)
    remedy = Remedy("Look at its keys and limits", "keys", project_id)
    if status == ARCHIVED:
        remedy = Remedy("Restore the project", "project", project_id)
    # Test errors of this application need no key and have no quota.
    remedies = () if project_id == OWN_PROJECT_ID else (remedy,)
    words = f"Stopped at “recorded”: {cause.rstrip('.')}."
    return Answer("bad", words, remedies, True, "recorded", cause)


def duration(ms: float | None) -> str:
    """Return a duration in words: ``14 ms``, ``2.1 s``."""
    if ms is None:
        return "an unknown time"
    return f"{max(1, round(ms))} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def _hop(progress: Progress, name: str) -> Hop:
    return next(hop for hop in progress.hops if hop.hop == name)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---- the delivery -------------------------------------------------------------------------------


def _way(progress: Progress) -> _Way:
    row = progress.stored.row
    if row.state == EnvelopeState.DELIVERED:
        took = duration(_hop(progress, "sent").ms)
        return _Way("good", f"accepted by Sentry in {took}", joins=True)
    if row.state == EnvelopeState.LOCAL:
        return _local(progress)
    if row.state == EnvelopeState.DISCARDED:
        return _Way("note", f"Not sent to Sentry: {why_not_sent(row.reason)}")
    failed = next((hop for hop in progress.hops if _is_failed_delivery(hop)), None)
    if failed is None and not progress.waits_for:
        return _Way("note", "on its way to Sentry", joins=True)
    return _stopped(progress, failed)


def _local(progress: Progress) -> _Way:
    destination = progress.destination
    if destination.dsn is not None:
        return _Way("note", f"It stays here: {why_local(destination)}")
    words = "This project has no Sentry destination"
    if destination.project_id == OWN_PROJECT_ID:
        words = "This project has no Sentry destination: SENTRY_DSN is not set"
    return _Way("good", words, remedy=Remedy("Add one", "project", destination.project_id))


def _is_failed_delivery(hop: Hop) -> bool:
    return hop.hop in ("sent", "accepted") and hop.ok is False


def _stopped(progress: Progress, failed: Hop | None) -> _Way:
    at = failed.hop if failed else "sent"
    cause = (failed.detail if failed else "") or progress.waits_for
    words = f"Stopped at “{at}”: {cause}"
    return _Way("bad", words, False, _delivery_remedy(progress, cause), at, cause)


def _delivery_remedy(progress: Progress, cause: str) -> Remedy:
    row, destination = progress.stored.row, progress.destination
    if destination.dsn is None:
        return Remedy("Add a DSN", "project", row.project_id)
    if destination.paused_at is not None:
        return Remedy("Resume its deliveries", "deliveries", row.project_id)
    status = _STATUS.search(row.reason or cause)
    if status is not None and status[1] in _WRONG_DSN:
        return Remedy("Replace the DSN", "project", row.project_id)
    if status is None:  # No answer at all: often the address is wrong.
        return Remedy("Check the DSN", "project", row.project_id)
    return Remedy("Delivery details", "delivery", row.envelope_id)


def _alert_remedy(progress: Progress, told: Notified) -> Remedy | None:
    project_id = progress.stored.row.project_id
    if told.lacks == "rule":
        return Remedy("Make a rule", "rules", project_id)
    if told.lacks == "channel":
        return Remedy("Add a channel", "channels")
    if told.lacks == "working channel" and told.channel_id is not None:
        return Remedy("Look at the channel", "channel", told.channel_id)
    return None
