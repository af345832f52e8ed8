"""Feedback of users about errors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask import Response
from pydantic import Field

from app.api.requests import Paged, number_after
from app.api.routes import Routes
from app.api.schemas import ApiModel, Next
from app.inputs import PatchBody, unchanged
from app.issues.feedback import (
    FeedbackFilter,
    files_of,
    find_feedback,
    find_file,
    page_of_feedback,
    set_state,
)
from app.issues.tables import FeedbackState
from app.web import access
from app.web.current import current_store
from app.web.downloads import download
from app.web.errors import or_404

UNKNOWN = "no feedback has this id"

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
    state: FeedbackState
    attachments: list[dict[str, Any]] = Field(description="Files that came with it.")
    received_at: datetime


class FeedbackPatch(PatchBody):
    """The fields of feedback to change."""

    # From JSON the state comes as a text.
    state: Annotated[FeedbackState, Field(strict=False)] = unchanged()


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


@route("PATCH /api/feedback/<int:feedback_id>", access.writes)
def change_feedback(feedback_id: int, body: FeedbackPatch) -> Feedback:
    """Change the state of feedback.

    :raise 404: no feedback has this id.
    """
    with current_store().write() as conn:
        if body.state is not None:
            set_state(conn, feedback_id, body.state)
        row = or_404(find_feedback(conn, feedback_id), UNKNOWN)
        files = files_of(conn, [row]).get(row.id, ())
    return Feedback(**row._mapping, attachments=[file.described() for file in files])


@route("GET /api/feedback/<int:feedback_id>/attachments/<int:number>", access.reads)
def get_feedback_file(feedback_id: int, number: int) -> Response:
    """Download a file that was sent with feedback.

    `number` is its index in the feedback's `attachments`, from 0.

    :raise 404: the feedback does not exist, or has no file with this number.
    """
    with current_store().read() as conn:
        found = find_file(conn, feedback_id, number)
    return download(or_404(found, "the feedback has no such file"))
