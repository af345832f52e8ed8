"""A page of a list of issues, in any order: for the API and the tools of MCP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from sqlalchemy import Connection, Row

from app.inputs import InputError
from app.inputs.queries import Limit, Query
from app.issues.filter import IssueSelection, RangeSort
from app.issues.in_range import BOUNDS, page_by_figure
from app.issues.queries import cursor_of, page_of_issues, read_cursor
from app.search.issue_search import IssueSearch
from app.store import utc_now


class IssuePaging(Query):
    """The page of a list of issues, and its order."""

    limit: Limit = 50
    cursor: (
        Annotated[
            str, Field(max_length=100, description="`next` of the page before, sorted the same.")
        ]
        | None
    ) = None
    sort: Annotated[
        RangeSort,
        Field(
            description="What comes first: the largest of it. `events`, `users` and `trend` (the"
            " increase against the range before) are of the range."
        ),
    ] = "last_seen"


class IssueQuery(IssueSearch, IssuePaging):
    """The issues to list, and their order."""


class IssueRows(NamedTuple):
    """A page of issues.

    :param next: the cursor of the next page, ``None`` at the end of the list.
    """

    rows: Sequence[Row[Any]]
    next: str | None


def page_of(conn: Connection, query: IssueQuery, selection: IssueSelection) -> IssueRows:
    """Return a page of the issues that a query asks for.

    :param selection: what the query is resolved to (:meth:`.IssueSearch.resolved`).
    :raise InputError: the cursor is of no page of this order.
    """
    range, sort, limit = query.range_of(utc_now()), query.sort, query.limit
    after: Any = _after(query)
    if sort in BOUNDS and (sort != "users" or not range.is_all):
        ranked = page_by_figure(conn, selection, range, sort, after=after, limit=limit)
        return IssueRows(ranked.rows, cursor_of(ranked.next) if ranked.next else None)
    page = page_of_issues(conn, selection, sort=sort, after=after, limit=limit)
    return IssueRows(page.rows, cursor_of(page.next) if page.next else None)


def _after(query: IssueQuery) -> tuple[datetime | int, int] | None:
    if query.cursor is None:
        return None
    try:
        return read_cursor(query.cursor, query.sort)
    except ValueError:
        message = "the `next` of a page of the same sorting is expected"
        raise InputError(message, "cursor") from None
