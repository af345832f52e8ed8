"""The first page of a list of issues, with the columns that its rows draw, by one question.

A row of ``issues`` has twice as many columns, and SQLAlchemy needs as long to build and to execute
the statement as SQLite to find the rows. The list that everybody opens is therefore read by the
driver; every other one by :func:`app.issues.queries.page_of_issues`.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache, partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Select, bindparam, select

from app.issues.filter import IssueSelection
from app.issues.listed import Packed, packed_columns, packed_values
from app.issues.tables import issues
from app.stats.windows import Window
from app.store import DriverStatement
from app.store.paging import Page


class Drawn(NamedTuple):
    """The columns of an issue that its row in a list shows."""

    id: int
    project_id: int
    title: str
    culprit: str
    type: str
    level: str
    status: str
    regressed: bool
    is_test: bool
    times_seen: int
    users: int
    first_seen: datetime
    last_seen: datetime
    first_release: str | None
    assigned_to: str | None
    ignore_until: str | None


_DRAWN = len(Drawn._fields)


class FirstPage(NamedTuple):
    """The rows of the page, and what is stored of each in a window, by issue id."""

    page: Page
    packed: dict[int, Packed]


def first_page(
    conn: Connection, filter: IssueSelection, window: Window, limit: int
) -> FirstPage | None:
    """Return the first page of the issues of one status, those that were seen last first.

    :param filter: with what was looked up.
    :param window: without the range before.
    :return: ``None`` if an index does not find the rows of this filter in their order.
    """
    if not filter.is_indexed or len(filter.statuses) != 1:
        return None
    values: dict[str, Any] = {"project": filter.project_id, "since": filter.seen_since}
    given = {name: value for name, value in values.items() if value is not None}
    given |= {"status": filter.statuses[0], "limit": limit + 1, **packed_values(window)}
    statement = _first_page(filter.project_id is not None, filter.seen_since is not None)
    found = statement.fetch(conn, given)
    rows: list[Any] = [Drawn(*row[:_DRAWN]) for row in found[:limit]]
    end = (rows[-1].last_seen, rows[-1].id) if len(found) > limit else None
    return FirstPage(Page(rows, end), {row[0]: Packed(*row[_DRAWN:]) for row in found})


@cache
def _first_page(of_project: bool, is_since: bool) -> DriverStatement:
    return DriverStatement(partial(_query, of_project, is_since))


def _query(of_project: bool, is_since: bool, dialect: str) -> Select[Any]:
    columns = issues.c
    query = select(*(columns[name] for name in Drawn._fields), *packed_columns(dialect))
    query = query.where(columns.status == bindparam("status"))
    if of_project:
        query = query.where(columns.project_id == bindparam("project"))
    if is_since:
        query = query.where(columns.last_seen >= bindparam("since"))
    ordered = query.order_by(columns.last_seen.desc(), columns.id.desc())
    return ordered.limit(bindparam("limit", type_=Integer))
