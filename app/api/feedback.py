"""Feedback of users about errors."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response
from pydantic import Field

from app.api.requests import Paged, number_after
from app.api.routes import Routes
from app.api.schemas import ApiModel, Next
from app.issues.feedback import FeedbackFilter, files_of, find_file, page_of_feedback
from app.web import access
from app.web.current import current_store
from app.web.downloads import download
from app.web.errors import or_404

route = Routes("feedback")


class Feedback(ApiModel):
    """Feedback of a user about an error.

    `event_id` is the id of the feedback itself, null for a user report. `associated_event_id` and
    `issue_id` name the event and the issue that it is about, if they are known.
    """

    id: int
    project_id: int
    event_id: str | None
    associated_event_id: str | None
    issue_id: int | None
    message: str
    name: str | None
    email: str | None
    url: str | None
    source: str | None
    attachments: list[dict[str, Any]] = Field(description="Files that came with it.")
    received_at: datetime


class FeedbackPage(ApiModel):
    """A page of feedback, newest first."""

    feedback: list[Feedback]
    next: Next


class FeedbackQuery(FeedbackFilter, Paged):
    """The feedback to list."""


@route("GET /api/feedback", access.reads)
def get_feedback(query: FeedbackQuery) -> FeedbackPage:
    """List feedback of users about errors, newest first."""
    with current_store().read() as conn:
        page = page_of_feedback(conn, query, before=query.cursor, limit=query.limit)
        files = files_of(conn, page.rows)
    found = [
        Feedback(**row._mapping, attachments=[file.described() for file in files.get(row.id, ())])
        for row in page.rows
    ]
    return FeedbackPage(feedback=found, next=number_after(page))


@route("GET /api/feedback/<int:feedback_id>/attachments/<int:number>", access.reads)
def get_feedback_file(feedback_id: int, number: int) -> Response:
    """Download a file that was sent with feedback.

    `number` is its index in the feedback's `attachments`, from 0.

    :raise 404: the feedback does not exist, or has no file with this number.
    """
    with current_store().read() as conn:
        found = find_file(conn, feedback_id, number)
    return download(or_404(found, "the feedback has no such file"))
