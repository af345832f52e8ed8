"""Feedback: what people said of errors."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from app.api import bp
from app.api.openapi import Operation, answer, describe
from app.api.requests import Paged, number_after, read_query
from app.api.schemas import Feedback, FeedbackPage
from app.issues.feedback import FeedbackFilter, files_of, find_file, page_of_feedback
from app.web import access
from app.web.current import current_store
from app.web.downloads import download
from app.web.errors import or_404


class FeedbackQuery(FeedbackFilter, Paged):
    """What a list of feedback is narrowed to."""


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
    with current_store().read() as conn:
        page = page_of_feedback(conn, query, before=query.cursor, limit=query.limit)
        files = files_of(conn, page.rows)
    found = [
        Feedback(**row._mapping, attachments=[one.described() for one in files.get(row.id, ())])
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
        found = or_404(find_file(conn, feedback_id, number), "the feedback has no such file")
    return download(found)
