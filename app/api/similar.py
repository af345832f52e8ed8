"""Similar issues, and how they were resolved."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import Row

from app.api.issues import IssueSummary, found_issue
from app.api.requests import Limit, Query
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.issues.similar import MIN_SCORE, Similar, similar_to
from app.issues.similarity_index import is_complete
from app.web import access
from app.web.current import current_store

route = Routes("issues")


class Resolution(ApiModel):
    """When an issue was resolved; `by` is null for the service, `release` if none was named."""

    at: datetime
    by: str | None
    release: str | None
    note: str | None


class Comment(ApiModel):
    """A person's comment on an issue."""

    at: datetime
    by: str | None
    text: str


class SimilarIssue(IssueSummary):
    """A similar issue, and how it was resolved."""

    first_seen: datetime
    last_seen: datetime
    last_release: str | None = Field(description="In which it was seen last.")
    score: float = Field(description="How alike the two are, from 0 to 1. Nothing is merged by it.")
    shared: list[Literal["function", "module", "type", "message", "words"]] = Field(
        description="What both have: most of the message, or some words of it."
    )
    resolved: Resolution | None = Field(description="Null unless it is resolved.")
    last_comment: Comment | None
    fix: Comment | None = Field(description="The remembered comment that says how it was fixed.")


class SimilarIssuePage(ApiModel):
    """All similar issues; there is only this page."""

    similar: list[SimilarIssue]
    next: None
    total: int
    complete: bool = Field(
        description="False while issues of the store wait for the background to compare them; ask"
        " again in some ten seconds."
    )


class SimilarQuery(Query):
    """The number of similar issues to return, and their minimum similarity."""

    limit: Limit = 50
    min_score: Annotated[
        float, Field(ge=0, le=1, allow_inf_nan=False, description="What is less alike is left out.")
    ] = MIN_SCORE


@route("GET /api/issues/<int:issue_id>/similar", access.reads)
def get_similar_issues(issue_id: int, query: SimilarQuery) -> SimilarIssuePage:
    """List similar issues of the same project, the most similar first, with their resolution.

    Issues are similar if they failed at a similar place in the code with a similar message.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        complete = is_complete(conn)
        issue = found_issue(conn, issue_id)
        found = similar_to(conn, issue, min_score=query.min_score, limit=query.limit)
    return SimilarIssuePage(
        similar=[_shape(one) for one in found], next=None, total=len(found), complete=complete
    )


def _shape(similar: Similar) -> SimilarIssue:
    return SimilarIssue.of(
        similar.issue,
        score=similar.score,
        shared=similar.shared,
        resolved=_resolution(similar.resolved, similar.issue) if similar.resolved else None,
        last_comment=_comment(similar.comment) if similar.comment else None,
        fix=_comment(similar.fix) if similar.fix else None,
    )


def _resolution(row: Row[Any], issue: Row[Any]) -> Resolution:
    # An issue that was resolved in the next release gets the release's name when it appears.
    release = row.release or issue.resolved_in
    return Resolution(at=row.at, by=row.actor, release=release, note=row.note)


def _comment(row: Row[Any]) -> Comment:
    return Comment(at=row.at, by=row.actor, text=row.note or "")
