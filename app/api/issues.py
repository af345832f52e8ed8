"""Issues: lists and one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from flask import abort
from flask.typing import ResponseReturnValue
from pydantic import Field
from sqlalchemy import Row

from app import access
from app.api import bp
from app.api.events import Limit
from app.api.openapi import Operation, answer, describe
from app.api.requests import Query, read_query
from app.api.schemas import Grouping, Issue, IssuePage
from app.errors import FieldErrors
from app.issues.queries import count_issues, find_issue, list_issues
from app.services import services


class IssueQuery(Query):
    """What a list of issues is narrowed to."""

    limit: Limit = 50
    cursor: (
        Annotated[str, Field(max_length=100, description="`next` of the page before.")] | None
    ) = None
    status: Literal["unresolved", "resolved", "ignored"] | None = None


@bp.get("/api/issues")
@access.reads
@describe(
    Operation(
        "Issues, the one seen last first",
        {200: IssuePage},
        query=IssueQuery,
        problems=(422, 503),
        tag="issues",
    )
)
def get_issues() -> ResponseReturnValue:
    """Return a page of issues."""
    query = read_query(IssueQuery)
    before = _read_cursor(query.cursor) if query.cursor else None
    with services().store.read() as conn:
        rows = list_issues(conn, status=query.status, before=before, limit=query.limit + 1)
        total = count_issues(conn, query.status)
    page = rows[: query.limit]
    more = _cursor(page[-1]) if len(rows) > query.limit else None
    return answer(IssuePage(issues=[_issue(row) for row in page], next=more, total=total))


@bp.get("/api/issues/<int:issue_id>")
@access.reads
@describe(Operation("One issue", {200: Issue}, problems=(404, 503), tag="issues"))
def get_issue(issue_id: int) -> ResponseReturnValue:
    """Return one issue.

    :raise 404: no issue has this id.
    """
    row = None
    if issue_id < 2**63:
        with services().store.read() as conn:
            row = find_issue(conn, issue_id)
    if row is None:
        abort(404, description="no issue has this id")
    return answer(_issue(row))


def _issue(row: Row[Any]) -> Issue:
    values = dict(row._mapping)
    fields = {name: values[name] for name in Issue.model_fields if name in values}
    return Issue(**fields, grouping=Grouping(version=row.grouping_version, key=row.grouping_key))


def _cursor(row: Row[Any]) -> str:
    return f"{row.last_seen.isoformat()}~{row.id}"


def _read_cursor(cursor: str) -> tuple[datetime, int]:
    moment, _, issue_id = cursor.partition("~")
    try:
        # A "+" of the time zone arrives as a space when it was not escaped.
        read = datetime.fromisoformat(moment.replace(" ", "+"))
        number = int(issue_id)
        if read.tzinfo is None or not 0 < number < 2**63:
            raise ValueError("no cursor of ours")
    except ValueError:
        raise FieldErrors(
            [{"field": "cursor", "message": "the `next` of a page is expected"}]
        ) from None
    return read, number
