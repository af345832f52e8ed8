"""Issues: lists, one, its history and its tags."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask.typing import ResponseReturnValue
from pydantic import Field
from sqlalchemy import Connection, Row

from app.api import bp
from app.api.events import grouping_of
from app.api.openapi import Operation, answer, describe
from app.api.requests import Limit, Paged, Query, read_query
from app.api.schemas import (
    DayUsers,
    Issue,
    IssueDetail,
    IssuePage,
    IssueTags,
    IssueUsers,
    Tag,
    TagValue,
    Transition,
    TransitionPage,
    TypeCount,
)
from app.insights.releases import users_of_days
from app.issues.filter import IssueFilter, Sort
from app.issues.groupings import latest_groupings
from app.issues.overflow import types_of
from app.issues.queries import (
    count_matching,
    cursor_of,
    find_issue,
    hours_of,
    page_of_issues,
    read_cursor,
    tags_of,
    transitions_of,
)
from app.stats.users import ISSUE, Subject, date_of
from app.store import utc_now
from app.web import access
from app.web.current import current_store
from app.web.errors import FieldErrors, or_404

UNKNOWN = "no issue has this id"
# Beyond it a count is not cheap any more.
MAX_TOTAL = 10_000


class IssuePaging(Query):
    """Which page of a list of issues, and how it is sorted."""

    limit: Limit = 50
    cursor: (
        Annotated[
            str, Field(max_length=100, description="`next` of the page before, sorted the same.")
        ]
        | None
    ) = None
    sort: Annotated[Sort, Field(description="What comes first: the largest of it.")] = "last_seen"


class IssueQuery(IssueFilter, IssuePaging):
    """What a list of issues is narrowed to, and how it is sorted."""


class TransitionQuery(Paged):
    """A page of an issue's history."""


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
    after = _after(query)
    with current_store().read() as conn:
        page = page_of_issues(conn, query, sort=query.sort, after=after, limit=query.limit)
        count = count_matching(conn, query, MAX_TOTAL + 1)
        found = shapes(conn, page.rows)
    total = count.number if count.is_exact and count.number <= MAX_TOTAL else None
    more = cursor_of(page.next) if page.next else None
    return answer(IssuePage(issues=found, next=more, total=total))


@bp.get("/api/issues/<int:issue_id>")
@access.reads
@describe(Operation("One issue", {200: IssueDetail}, problems=(404, 503), tag="issues"))
def get_issue(issue_id: int) -> ResponseReturnValue:
    """Return one issue.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        row = found_issue(conn, issue_id)
        found = shapes(conn, [row])[0]
        types = _types(conn, issue_id) if row.is_other else None
    return answer(IssueDetail(**found.model_dump(), types=types))


@bp.get("/api/issues/<int:issue_id>/tags")
@access.reads
@describe(
    Operation(
        "How often each tag had which value", {200: IssueTags}, problems=(404, 503), tag="issues"
    )
)
def get_issue_tags(issue_id: int) -> ResponseReturnValue:
    """Return an issue's tags.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        found_issue(conn, issue_id)
        tags = tags_of(conn, issue_id)
    return answer(
        IssueTags(
            tags=[
                Tag(
                    key=tag.key,
                    times_seen=tag.times_seen,
                    values=[TagValue(**value._asdict()) for value in tag.values],
                    other=tag.rest.times_seen if tag.rest else 0,
                )
                for tag in tags
            ]
        )
    )


@bp.get("/api/issues/<int:issue_id>/users")
@access.reads
@describe(
    Operation("How many users met it, by day", {200: IssueUsers}, problems=(404, 503), tag="issues")
)
def get_issue_users(issue_id: int) -> ResponseReturnValue:
    """Return an issue's users by day.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        found_issue(conn, issue_id)
        days = users_of_days(conn, Subject(ISSUE, issue_id), utc_now())
    return answer(IssueUsers(users=day_shapes(days)))


@bp.get("/api/issues/<int:issue_id>/transitions")
@access.reads
@describe(
    Operation(
        "What happened to an issue, newest first",
        {200: TransitionPage},
        query=TransitionQuery,
        problems=(404, 422, 503),
        tag="issues",
    )
)
def get_issue_transitions(issue_id: int) -> ResponseReturnValue:
    """Return a page of an issue's history.

    :raise 404: no issue has this id.
    """
    query = read_query(TransitionQuery)
    with current_store().read() as conn:
        found_issue(conn, issue_id)
        rows = transitions_of(conn, issue_id, before=query.cursor, limit=query.limit + 1)
    more = str(rows[query.limit - 1].id) if len(rows) > query.limit else None
    found = [Transition(**row._mapping) for row in rows[: query.limit]]
    return answer(TransitionPage(transitions=found, next=more))


def day_shapes(days: list[tuple[int, int]]) -> list[DayUsers]:
    """Return days and their users in the shape that callers get."""
    return [DayUsers(day=date_of(day), users=users) for day, users in days]


def shapes(conn: Connection, rows: list[Row[Any]]) -> list[Issue]:
    """Return issue rows in the shape that callers get, with two questions for all of them."""
    ids = [row.id for row in rows]
    hours, latest = hours_of(conn, ids, utc_now()), latest_groupings(conn, ids)
    return [_issue(row, hours[row.id], latest.get(row.id)) for row in rows]


def _issue(row: Row[Any], hours: list[int], latest: Row[Any] | None) -> Issue:
    values = dict(row._mapping)
    fields = {name: values[name] for name in Issue.model_fields if name in values}
    awaits = row.status == "resolved" and row.resolved_after is not None and not row.resolved_in
    grouping = grouping_of(latest)
    return Issue(**fields, resolved_in_next_release=awaits, grouping=grouping, hours=hours)


def _types(conn: Connection, issue_id: int) -> list[TypeCount]:
    return [TypeCount(type=name, times_seen=times) for name, times in types_of(conn, issue_id)]


def found_issue(conn: Connection, issue_id: int) -> Row[Any]:
    """Return one issue.

    :raise 404: no issue has this id.
    """
    return or_404(find_issue(conn, issue_id), UNKNOWN)


def _after(query: IssueQuery) -> tuple[datetime | int, int] | None:
    if query.cursor is None:
        return None
    try:
        return read_cursor(query.cursor, query.sort)
    except ValueError:
        message = "the `next` of a page of the same sorting is expected"
        raise FieldErrors([{"field": "cursor", "message": message}]) from None
