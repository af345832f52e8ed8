"""Issues: lists, one, its history and its tags."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from flask import abort
from pydantic import Field
from sqlalchemy import Connection, Row

from app.api.events import Limit, RowNumber, grouping_of
from app.api.requests import Query
from app.api.routes import Routes
from app.api.schemas import (
    DayUsers,
    Issue,
    IssueDetail,
    IssuePage,
    IssueTags,
    IssueUsers,
    Level,
    Tag,
    TagValue,
    Transition,
    TransitionPage,
    TypeCount,
)
from app.insights.releases import users_of_days
from app.issues.groupings import latest_groupings
from app.issues.overflow import types_of
from app.issues.queries import (
    IssueFilter,
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
from app.web.errors import FieldErrors

UNKNOWN = "no issue has this id"
# Beyond it a count is not cheap any more.
MAX_TOTAL = 10_000

Status = Literal["unresolved", "resolved", "ignored"]

route = Routes("issues")


class IssueQuery(Query):
    """What a list of issues is narrowed to, and how it is sorted."""

    limit: Limit = 50
    cursor: (
        Annotated[
            str, Field(max_length=100, description="`next` of the page before, sorted the same.")
        ]
        | None
    ) = None
    sort: Annotated[
        Literal["last_seen", "first_seen", "times_seen", "users"],
        Field(description="What comes first: the largest of it."),
    ] = "last_seen"
    status: Status | None = None
    project_id: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    level: Level | None = None
    environment: (
        Annotated[str, Field(max_length=200, description="Of any of its events.")] | None
    ) = None
    release: Annotated[str, Field(max_length=250, description="Of any of its events.")] | None = (
        None
    )
    q: (
        Annotated[
            str,
            Field(max_length=500, description="Part of title or culprit; or an event's id."),
        ]
        | None
    ) = None


class TransitionQuery(Query):
    """A page of an issue's history."""

    limit: Limit = 50
    cursor: Annotated[RowNumber, Field(description="`next` of the page before.")] | None = None


@route("GET /api/issues", access.reads)
def get_issues(query: IssueQuery) -> IssuePage:
    """Issues, the one seen last first."""
    chosen = IssueFilter(text=query.q, **query.model_dump(exclude={"limit", "cursor", "sort", "q"}))
    after = _after(query)
    with current_store().read() as conn:
        page = page_of_issues(conn, chosen, sort=query.sort, after=after, limit=query.limit)
        count = count_matching(conn, chosen, MAX_TOTAL + 1)
        found = shapes(conn, page.rows)
    total = count.number if count.is_exact and count.number <= MAX_TOTAL else None
    more = cursor_of(page.next) if page.next else None
    return IssuePage(issues=found, next=more, total=total)


@route("GET /api/issues/<int:issue_id>", access.reads)
def get_issue(issue_id: int) -> IssueDetail:
    """One issue.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        row = found_issue(conn, issue_id)
        found = shapes(conn, [row])[0]
        types = _types(conn, issue_id) if row.is_other else None
    return IssueDetail(**found.model_dump(), types=types)


@route("GET /api/issues/<int:issue_id>/tags", access.reads)
def get_issue_tags(issue_id: int) -> IssueTags:
    """How often each tag had which value.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        found_issue(conn, issue_id)
        tags = tags_of(conn, issue_id)
    return IssueTags(
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


@route("GET /api/issues/<int:issue_id>/users", access.reads)
def get_issue_users(issue_id: int) -> IssueUsers:
    """How many users met it, by day.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        found_issue(conn, issue_id)
        days = users_of_days(conn, Subject(ISSUE, issue_id), utc_now())
    return IssueUsers(users=day_shapes(days))


@route("GET /api/issues/<int:issue_id>/transitions", access.reads)
def get_issue_transitions(issue_id: int, query: TransitionQuery) -> TransitionPage:
    """What happened to an issue, newest first.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        found_issue(conn, issue_id)
        rows = transitions_of(conn, issue_id, before=query.cursor, limit=query.limit + 1)
    more = str(rows[query.limit - 1].id) if len(rows) > query.limit else None
    found = [Transition(**row._mapping) for row in rows[: query.limit]]
    return TransitionPage(transitions=found, next=more)


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
    row = find_issue(conn, issue_id)
    if row is None:
        abort(404, description=UNKNOWN)
    return row


def _after(query: IssueQuery) -> tuple[datetime | int, int] | None:
    if query.cursor is None:
        return None
    try:
        return read_cursor(query.cursor, query.sort)
    except ValueError:
        message = "the `next` of a page of the same sorting is expected"
        raise FieldErrors([{"field": "cursor", "message": message}]) from None
