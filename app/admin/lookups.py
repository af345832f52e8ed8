"""Queries that only the pages need; each returns a bounded number of rows."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Row, Select, bindparam, func, literal, select, text

from app.events.tables import events
from app.issues.queries import MAX_ROW_NUMBER
from app.issues.similar import compared_columns
from app.issues.tables import IS_TEST, MERGED, STATUSES, feedback, issues
from app.projects import projects
from app.store import DriverStatement

# The position of an event is counted up to this distance from either end of its issue.
MAX_STEPS = 1000
# How many of the newest events are read for the choices of a filter.
RECENT = 1000


# The choices of each store as they were when its newest event had this row id.
_recent: WeakKeyDictionary[Engine, tuple[int | None, dict[str, list[str]]]] = WeakKeyDictionary()


class Neighbours(NamedTuple):
    """The position of an event among the events of its issue.

    :param newer: event id of the next newer event.
    :param older: event id of the next older event.
    :param first: event id of the oldest event.
    :param last: event id of the newest event.
    :param position: 1 is the oldest; ``None`` for an event far from both ends.
    """

    newer: str | None
    older: str | None
    first: str
    last: str
    position: int | None
    total: int


def test_issues(conn: Connection, issue_ids: Collection[int]) -> set[int]:
    """Return those of the issues whose events are test errors."""
    query = select(issues.c.id).where(issues.c.id.in_(issue_ids), text(IS_TEST))
    return set(conn.scalars(query))


def issue_with_project(conn: Connection, issue_id: int) -> Row[Any] | None:
    """Return an issue, or the one that it was merged into, with what its page needs beside it.

    :return: a row of ``issues`` with ``project_name``, ``source_url``, ``has_feedback``
        and the columns for similar issues; ``None`` when it does not exist.
    """
    if not 0 < issue_id < MAX_ROW_NUMBER:
        return None
    row = conn.execute(_issue(), {"issue": issue_id}).first()
    if row is not None and row.status == MERGED:
        row = conn.execute(_issue(), {"issue": row.merged_into}).first()
    return row if row is not None and row.status in STATUSES else None


@cache
def _issue() -> Select[Any]:
    said = select(literal(1)).where(feedback.c.issue_id == issues.c.id).correlate(issues)
    return (
        select(
            issues,
            projects.c.name.label("project_name"),
            projects.c.source_url,
            said.exists().label("has_feedback"),
            *compared_columns(),
        )
        .join(projects, projects.c.id == issues.c.project_id)
        .where(issues.c.id == bindparam("issue"))
    )


def project_names(conn: Connection) -> dict[int, str]:
    """Return the names of all projects by id, also of those whose data is still being removed."""
    named = select(projects.c.id, projects.c.name).where(projects.c.purged_at.is_(None))
    return {row.id: row.name for row in conn.execute(named)}


def project_options(names: dict[int, str]) -> dict[str, str]:
    """Return the projects to choose from: value of the address parameter to name."""
    return {str(id): name for id, name in names.items()}


def recent_values(conn: Connection, newest: int | None = None) -> dict[str, list[str]]:
    """Return the environments and releases of the newest events, to choose from.

    :param newest: the row id of the newest event, if it is known.
    """
    if newest is None:
        newest = conn.scalar(select(func.max(events.c.id)))
    known = _recent.get(conn.engine)
    if known is None or known[0] != newest:
        known = _recent[conn.engine] = newest, _values_of(conn)
    return known[1]


def _values_of(conn: Connection) -> dict[str, list[str]]:
    rows = conn.execute(_newest()).all()
    return {
        "environment": sorted({row.environment for row in rows if row.environment}),
        "release": sorted({row.release for row in rows if row.release}, reverse=True)[:100],
    }


@cache
def _newest() -> Select[Any]:
    columns = events.c.environment, events.c.release
    newest = select(*columns).order_by(events.c.id.desc()).limit(RECENT)
    return select(newest.subquery()).distinct()


def neighbours(conn: Connection, row: Row[Any], total: int) -> Neighbours:
    """Return the neighbours of an event within its issue.

    :param row: a row of ``events``.
    :param total: how many events the issue has; to count them takes longer than to show one event.
    """
    given = {"row": row.id, "issue": row.issue_id}
    ((newer, older, first, last, steps_before, steps_after),) = _AROUND.fetch(conn, given)
    if steps_before < MAX_STEPS and steps_after < MAX_STEPS:
        total = steps_before + 1 + steps_after
    position = _position(steps_before, steps_after, total)
    return Neighbours(newer, older, first, last, position, total)


def _around(dialect: str) -> Select[Any]:
    """Return the query for the two neighbours, and for the counts of events on both sides."""
    columns = events.c
    same_issue = columns.issue_id == bindparam("issue")
    is_newer, is_older = columns.id > bindparam("row"), columns.id < bindparam("row")
    ids = select(columns.event_id).where(same_issue).limit(1)
    forwards, backwards = ids.order_by(columns.id), ids.order_by(columns.id.desc())
    found = forwards.where(is_newer), backwards.where(is_older), forwards, backwards
    steps = (
        select(columns.id).where(same_issue, side).limit(MAX_STEPS).subquery()
        for side in (is_older, is_newer)
    )
    counts = (select(func.count()).select_from(side).scalar_subquery() for side in steps)
    return select(*(one.scalar_subquery() for one in found), *counts)


_AROUND = DriverStatement(_around)


def _position(before: int, after: int, total: int) -> int | None:
    if before < MAX_STEPS:
        return before + 1
    return total - after if after < MAX_STEPS else None
