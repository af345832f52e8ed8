"""Feedback as SDKs send it."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Flask
from sqlalchemy import Row

from app.issues.feedback import FeedbackFilter, page_of_feedback
from app.protocol.envelope import Envelope, Item
from tests.conftest import parts_of


def feedback_item(
    message: Any, about: str | None = None, *, kind: str = "feedback", **fields: Any
) -> Item:
    """Return an item with feedback about an event."""
    said = {"message": message, "associated_event_id": about, **fields}
    payload = {"event_id": uuid.uuid4().hex, "type": "feedback", "contexts": {"feedback": said}}
    return Item({"type": kind}, payload)


def report_item(comments: Any, about: str | None = None, **fields: Any) -> Item:
    """Return a user report, the older form of feedback."""
    return Item({"type": "user_report"}, {"event_id": about, "comments": comments, **fields})


def send(app: Flask, *items: Item, project_id: int = 1, **headers: Any) -> None:
    """Accept an envelope as the ingest routes do."""
    envelope = Envelope(headers, list(items))
    parts_of(app).intake.accept(envelope, project_id=project_id, timeout_s=10)


def said(app: Flask, **narrowed: Any) -> list[Row[Any]]:
    """Return the stored feedback, newest first."""
    with parts_of(app).store.read() as conn:
        return page_of_feedback(conn, FeedbackFilter(**narrowed)).rows
