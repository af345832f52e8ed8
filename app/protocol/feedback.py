"""Feedback: the report of a person about an error, in the two forms that SDKs send.

``feedback``     an event whose context ``feedback`` has the report
``user_report``  the older form: ``event_id, name, email, comments`` about that event

Source: https://develop.sentry.dev/sdk/telemetry/feedbacks/ and
https://develop.sentry.dev/sdk/data-model/envelope-items/, 2026-11-24.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.protocol.envelope import Envelope, Item
from app.protocol.lenient import parse_event_id, read_dict, read_name

# Sentry's limit, in characters. The envelope keeps the full text.
MAX_MESSAGE = 4096
MAX_NAME = 200
MAX_EMAIL = 320
MAX_URL = 2000
MAX_SOURCE = 64
USER_REPORT = "user_report"


@dataclass(frozen=True, slots=True)
class Feedback:
    """The feedback of a person.

    :param event_id: the id of the feedback itself; a ``user_report`` has none.
    :param associated_event_id: the id of the event that the feedback is about.
    :param source: where the feedback was written, as the client names it.
    """

    message: str
    event_id: str | None = None
    associated_event_id: str | None = None
    name: str | None = None
    email: str | None = None
    url: str | None = None
    source: str | None = None


def read_feedback(envelope: Envelope) -> list[Feedback]:
    """Return the feedback in an envelope, in order; feedback without a message is left out."""
    found = [_read(item, envelope) for item in envelope.items]
    return [feedback for feedback in found if feedback is not None]


def is_feedback(item: Item) -> bool:
    """Return whether an item is feedback, even if the client sends it as an event.

    The Python SDK has no function for feedback. ``capture_event({"type": "feedback", …})`` sends it
    as an item ``event``.
    """
    if item.type == "event":
        is_called_so = read_dict(item.payload).get("type") == "feedback"
        return is_called_so and read_name(_said(item.payload).get("message")) is not None
    return item.type in ("feedback", USER_REPORT)


def _read(item: Item, envelope: Envelope) -> Feedback | None:
    if not isinstance(item.payload, dict) or not is_feedback(item):
        return None
    report = item.type == USER_REPORT
    said = item.payload if report else _said(item.payload)
    message = read_name(said.get("comments" if report else "message"))
    if message is None:
        return None
    about = said.get("event_id" if report else "associated_event_id")
    return Feedback(
        message=message[:MAX_MESSAGE],
        event_id=None if report else _own_id(item, envelope),
        associated_event_id=parse_event_id(about),
        name=_cut(said.get("name"), MAX_NAME),
        email=_cut(said.get("email" if report else "contact_email"), MAX_EMAIL),
        url=None if report else _cut(said.get("url"), MAX_URL),
        source=USER_REPORT if report else _cut(said.get("source"), MAX_SOURCE),
    )


def _own_id(item: Item, envelope: Envelope) -> str | None:
    # The header may have the id of an event that came in the same envelope, so the payload wins.
    given = parse_event_id(item.payload.get("event_id"))
    return given or parse_event_id(envelope.headers.get("event_id"))


def _said(payload: Any) -> dict[str, Any]:
    return read_dict(read_dict(read_dict(payload).get("contexts")).get("feedback"))


def _cut(value: object, length: int) -> str | None:
    text = read_name(value)
    return text and text[:length]
