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
    """An item that says something of an event."""
    said = {"message": message, "associated_event_id": about, **fields}
    payload = {"event_id": uuid.uuid4().hex, "type": "feedback", "contexts": {"feedback": said}}
    return Item({"type": kind}, payload)


def report_item(comments: Any, about: str | None = None, **fields: Any) -> Item:
    """An item of the older form."""
    return Item({"type": "user_report"}, {"event_id": about, "comments": comments, **fields})


def send(app: Flask, *items: Item, project_id: int = 1, **headers: Any) -> None:
    """Take an envelope in as the second door does."""
    envelope = Envelope(headers, list(items))
    parts_of(app).intake.accept(envelope, project_id=project_id, timeout_s=10)


def said(app: Flask, **narrowed: Any) -> list[Row[Any]]:
    """What is stored of feedback, newest first."""
    with parts_of(app).store.read() as conn:
        return page_of_feedback(conn, FeedbackFilter(**narrowed)).rows
