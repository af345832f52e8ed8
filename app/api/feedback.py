"""Feedback: what people said of errors."""

from __future__ import annotations

from typing import Annotated

from flask import abort
from flask.typing import ResponseReturnValue
from pydantic import Field

from app.api import bp
from app.api.events import Limit, RowNumber, number_after
from app.api.openapi import Operation, answer, describe
from app.api.requests import Query, read_query
from app.api.schemas import Feedback, FeedbackPage
from app.issues.feedback import FeedbackFilter, files_of, find_file, page_of_feedback
from app.web import access
from app.web.current import current_store
from app.web.downloads import download


class FeedbackQuery(Query):
    """What a list of feedback is narrowed to."""

    limit: Limit = 50
    cursor: Annotated[RowNumber, Field(description="`next` of the page before.")] | None = None
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


@bp.get("/api/feedback")
@access.reads
@describe(
    Operation(
        "What people said of errors, newest first",
        {200: FeedbackPage},
        query=FeedbackQuery,
        problems=(422, 503),
        tag="feedback",
    )
)
def get_feedback() -> ResponseReturnValue:
    """Return a page of feedback."""
    query = read_query(FeedbackQuery)
    chosen = FeedbackFilter(text=query.q, **query.model_dump(exclude={"limit", "cursor", "q"}))
    with current_store().read() as conn:
        page = page_of_feedback(conn, chosen, before=query.cursor, limit=query.limit)
        files = files_of(conn, page.rows)
    found = [
        Feedback(**row._mapping, attachments=[file.described() for file in files.get(row.id, ())])
        for row in page.rows
    ]
    return answer(FeedbackPage(feedback=found, next=number_after(page)))


@bp.get("/api/feedback/<int:feedback_id>/attachments/<int:number>")
@access.reads
@describe(
    Operation(
        "A file that came with feedback, to be saved",
        {200: "application/octet-stream"},
        problems=(404, 503),
        tag="feedback",
    )
)
def get_feedback_file(feedback_id: int, number: int) -> ResponseReturnValue:
    """Return a file, by its place in the feedback's `attachments`, from 0.

    :raise 404: there is no such feedback, or not so many files.
    """
    with current_store().read() as conn:
        found = find_file(conn, feedback_id, number) if feedback_id < 2**63 else None
    if found is None:
        abort(404, description="the feedback has no such file")
    return download(found)
