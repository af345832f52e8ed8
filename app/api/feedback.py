"""Feedback: what people said of errors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask import Response
from pydantic import Field

from app.api.requests import Paged, RowNumber, number_after
from app.api.routes import Routes
from app.api.schemas import ApiModel, Next
from app.issues.feedback import FeedbackFilter, files_of, find_file, page_of_feedback
from app.web import access
from app.web.current import current_store
from app.web.downloads import download
from app.web.errors import or_404

route = Routes("feedback")


class Feedback(ApiModel):
    """What somebody said of an error.

    `event_id` is its own, null for a user report; `associated_event_id` and `issue_id` say what it
    is about, where that is known.
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


class FeedbackQuery(Paged):
    """What a list of feedback is narrowed to."""

    project_id: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    issue_id: RowNumber | None = None
    event_id: (
        Annotated[
            str, Field(pattern="^[0-9a-f]{32}$", description="Of the event that it is about.")
        ]
        | None
    ) = None
    q: (
        Annotated[
            str, Field(max_length=500, description="Part of message, name, e-mail; or an id.")
        ]
        | None
    ) = None


@route("GET /api/feedback", access.reads)
def get_feedback(query: FeedbackQuery) -> FeedbackPage:
    """What people said of errors, newest first."""
    chosen = FeedbackFilter(text=query.q, **query.model_dump(exclude={"limit", "cursor", "q"}))
    with current_store().read() as conn:
        page = page_of_feedback(conn, chosen, before=query.cursor, limit=query.limit)
        files = files_of(conn, page.rows)
    found = [
        Feedback(**row._mapping, attachments=[file.described() for file in files.get(row.id, ())])
        for row in page.rows
    ]
    return FeedbackPage(feedback=found, next=number_after(page))


@route("GET /api/feedback/<int:feedback_id>/attachments/<int:number>", access.reads)
def get_feedback_file(feedback_id: int, number: int) -> Response:
    """A file that came with feedback, to be saved.

    It is named by its place in the feedback's `attachments`, from 0.

    :raise 404: there is no such feedback, or not so many files.
    """
    with current_store().read() as conn:
        found = find_file(conn, feedback_id, number) if feedback_id < 2**63 else None
    return download(or_404(found, "the feedback has no such file"))
