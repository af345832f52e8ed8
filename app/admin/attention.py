"""What needs a person: issues that came back or are new, then what keeps errors from being seen.

One question reads the open issues of the start page: those seen last, those with most users, those
assigned to the person, and those of the newest events. So the page costs the same however many
there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from flask import url_for
from sqlalchemy import ColumnElement, Connection, Row, Select, exists, or_, select, union

from app.admin.filters import plural
from app.alerts.reach import Reach
from app.intake.refusals import Refusals
from app.issues.tables import IssueStatus, issues, transitions
from app.projects import projects
from app.store.disks import Disk

# The issues that are looked at, and the rows of the page.
NEWEST, MET_BY_MOST, ASSIGNED, SHOWN = 200, 100, 50, 5


class Need(NamedTuple):
    """A row: what it is, the worst of its kind with its page, and what leads to the others.

    :param state: decides the colour of ``word``.
    :param more: how many others there are.
    :param others: the address of all of them, empty if there are no more.
    """

    state: str
    word: str
    text: str
    address: str
    details: str = ""
    more: int = 0
    others: str = ""


class Open(NamedTuple):
    """Open issues, each in the first kind that it belongs to, those with most users first."""

    regressed: list[Row[Any]]
    new: list[Row[Any]]
    assigned: list[Row[Any]]
    back: list[Row[Any]]


def read_issues(
    conn: Connection, username: str, since: datetime, project_id: int | None, also: Iterable[int]
) -> list[Row[Any]]:
    """Return the issues of the start page, those with most users first.

    :param since: the end of the last visit.
    :param project_id: only issues of this project; ``None`` for all that are of no demo.
    :param also: issues to return whatever they are.
    :return: rows of ``issues`` with ``is_back``, whether their ignoring ended since the last visit.
    """
    rows = conn.execute(_issues(username, since, project_id, also)).all()
    return sorted(rows, key=lambda row: (row.users, row.times_seen, row.id), reverse=True)


def open_issues(rows: Iterable[Row[Any]], username: str, since: datetime) -> Open:
    """Return the issues that need a person, those with most users first."""
    found = Open([], [], [], [])
    for row in rows:
        if row.regressed:
            found.regressed.append(row)
        elif row.first_seen >= since:
            found.new.append(row)
        elif row.assigned_to == username:
            found.assigned.append(row)
        elif row.is_back:
            found.back.append(row)
    return found


def needs(found: Open, reach: Reach, disk: Disk, refusals: Sequence[Refusals]) -> list[Need]:
    """Return what needs a person, the worst first."""
    broken = *_of_alerts(reach), *_of_disk(disk), *_of_quotas(refusals), *_unheard(reach)
    return [*_of_issues(found), *broken][:SHOWN]


def _issues(
    username: str, since: datetime, project_id: int | None, also: Iterable[int]
) -> Select[Any]:
    columns = issues.c
    are_open = select(columns.id).where(*_is_open(project_id))
    each = (
        are_open.order_by(columns.last_seen.desc(), columns.id.desc()).limit(NEWEST),
        are_open.order_by(columns.users.desc(), columns.id.desc()).limit(MET_BY_MOST),
        are_open.where(columns.assigned_to == username).limit(ASSIGNED),
    )
    ids = union(*(select(chosen.subquery().c.id) for chosen in each))
    changes = transitions.c
    has_ended = changes.kind == "unignored", changes.at >= since
    is_back = exists().where(changes.issue_id == columns.id, *has_ended)
    return select(
        columns.id,
        columns.project_id,
        columns.title,
        columns.level,
        columns.status,
        columns.is_test,
        columns.regressed,
        columns.first_seen,
        columns.last_seen,
        columns.assigned_to,
        columns.users,
        columns.times_seen,
        is_back.label("is_back"),
    ).where(or_(columns.id.in_(ids), columns.id.in_(list(also))))


def _is_open(project_id: int | None) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for open issues, without test errors and those of a demo."""
    is_open = issues.c.status == IssueStatus.UNRESOLVED, issues.c.is_test.is_(False)
    if project_id is not None:
        return *is_open, issues.c.project_id == project_id
    of_demo = select(projects.c.id).where(projects.c.is_demo)
    return *is_open, issues.c.project_id.not_in(of_demo)


def _of_issues(found: Open) -> Iterator[Need]:
    if found.regressed:
        yield _need("regressed", "regressed", found.regressed, "is:regressed")
    if found.new:
        yield _need("firing", "new", found.new, "is:unresolved", sort="first_seen")
    if found.assigned:
        yield _need("unresolved", "yours", found.assigned, "assigned:me")
    if found.back:
        yield _need("unresolved", "back", found.back, "is:unresolved")


def _need(state: str, word: str, rows: list[Row[Any]], query: str, **values: Any) -> Need:
    worst, more = rows[0], len(rows) - 1
    address = url_for("admin.show_issue", issue_id=worst.id)
    others = url_for("admin.list_of_issues", query=query, **values) if more else ""
    details = plural(worst.times_seen, "event")
    if worst.users:
        details += f", {plural(worst.users, 'user')}"
    return Need(state, word, worst.title, address, details, more, others)


def _of_alerts(reach: Reach) -> Iterator[Need]:
    for channel in reach.failing[:1]:
        address = url_for("admin.show_channel", channel_id=channel.id)
        text = f"Alerts do not go out by {channel.name}"
        more = len(reach.failing) - 1
        others = url_for("admin.list_of_channels") if more else ""
        yield Need("failing", "channel", text, address, channel.failure or "", more, others)


def _unheard(reach: Reach) -> Iterator[Need]:
    if not reach.has_channel:
        address = url_for("admin.list_of_channels")
        yield Need("unresolved", "channel", "Alerts reach nobody: add a channel", address)
    for project_id, name in list(reach.unheard.items())[:1]:
        address = url_for("admin.list_of_alert_rules", project=project_id)
        text = f"Alerts of {name} reach nobody: a rule has no channel that is on"
        more = len(reach.unheard) - 1
        others = url_for("admin.list_of_alert_rules") if more else ""
        yield Need("unresolved", "channel", text, address, more=more, others=others)


def _of_disk(disk: Disk) -> Iterator[Need]:
    if disk.is_low:
        text = f"Only {disk.free_bytes / 1e6:,.0f} MB are free at {disk.folder}"
        yield Need("failing", "disk", text, url_for("admin.status"))


def _of_quotas(refusals: Sequence[Refusals]) -> Iterator[Need]:
    for one in refusals:
        address = url_for("admin.show_project", project_id=one.project_id)
        yield Need("unresolved", "quota", one.words, address)
