"""Feedback: what people said of errors."""

from __future__ import annotations

from typing import Annotated

from flask.typing import ResponseReturnValue
from pydantic import Field

from app import access
from app.api import bp
from app.api.events import Limit, RowNumber, number_after
from app.api.openapi import Operation, answer, describe
from app.api.requests import Query, read_query
from app.api.schemas import Feedback, FeedbackPage
from app.issues.feedback import FeedbackFilter, page_of_feedback
from app.services import services


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
    with services().store.read() as conn:
        page = page_of_feedback(conn, chosen, before=query.cursor, limit=query.limit)
    found = [Feedback(**row._mapping) for row in page.rows]
    return answer(FeedbackPage(feedback=found, next=number_after(page)))
