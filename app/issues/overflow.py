"""The limit of new issues per project and hour, and the issue ``<other>`` for further events.

new keys of a batch ── as many as the limit allows make issues, in their order
                       └─ events of the other keys go to <other>

An event in ``<other>`` does not make its own issue. In a later hour, the same error therefore makes
a new issue, as if it were seen for the first time. Events of existing issues are counted whatever
the limit is. The transaction is the only writer, so the limit holds across processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, delete, select

from app.issues.grouping import Grouping
from app.issues.groupings import Key
from app.issues.tables import IssueStatus, groupings, issue_tags, issues, new_issue_windows
from app.protocol.event import Event
from app.store import DriverStatement, is_in, new_if_any, replaced, upsert

# Not a version of the grouping rules: those are numbers.
OTHER_VERSION = "other"
OTHER_TITLE = "<other>"
OTHER_CULPRIT = "new issues beyond the limit of an hour"
OTHER = Grouping(OTHER_VERSION, OTHER_TITLE, OTHER_CULPRIT)
# The tag in which `<other>` counts the types of its events.
TYPE_TAG = "type"
# More types than a person reads, and few enough to read and write them with each batch.
MAX_TYPES = 100
SHOWN_TYPES = 10
NO_TYPE = "no type"

_WINDOWS = DriverStatement(
    lambda dialect, size: select(
        new_issue_windows.c.project_id, new_issue_windows.c.hour, new_issue_windows.c.made
    ).where(is_in(new_issue_windows.c.project_id, "ids", size)),
    takes="ids",
)
_ADDITION = DriverStatement(
    lambda dialect: upsert(
        dialect,
        new_issue_windows,
        hour=replaced,
        made=_made,
        over_at=_over_at,
        over_limit=new_if_any,
    )
)


def hour_of(now: datetime) -> datetime:
    """Return the start of the hour of a time."""
    return now.replace(minute=0, second=0, microsecond=0)


def keys_beyond(conn: Connection, keys: Collection[Key], limit: int, now: datetime) -> set[Key]:
    """Return the new keys of a batch that are beyond the limit of their project.

    :param keys: keys without an issue, in the order of their events.
    :param limit: the largest number of new issues per project and hour; 0 means no limit.
    """
    if not limit or not keys:
        return set()
    by_project: dict[int, list[Key]] = {}
    for key in keys:
        by_project.setdefault(key[0], []).append(key)
    made = _made_in_hour(conn, by_project, now)
    beyond: set[Key] = set()
    for project_id, wanted in by_project.items():
        allowance = max(0, limit - made.get(project_id, 0))
        beyond.update(wanted[allowance:])
    return beyond


def count_new(
    conn: Connection, new: Mapping[int, int], beyond: Iterable[Key], limit: int, now: datetime
) -> None:
    """Add new issues to the hour of their project, and store when the limit was first exceeded.

    :param new: the number of issues that a batch made, by project id.
    :param beyond: the keys from :func:`keys_beyond`.
    """
    over = {key[0] for key in beyond}
    rows = [
        {
            "project_id": project_id,
            "hour": hour_of(now),
            "made": new.get(project_id, 0),
            "over_at": now if project_id in over else None,
            "over_limit": limit if project_id in over else None,
        }
        for project_id in sorted(over | new.keys())
    ]
    _ADDITION.run(conn, rows)


def in_other(event: Event, grouping: Grouping) -> tuple[Event, Grouping]:
    """Return an event and its grouping for ``<other>``.

    The event loses its own tag ``type``: it would be mixed up with the tag of this module.
    """
    tags = {name: value for name, value in event.tags.items() if name != TYPE_TAG}
    return replace(event, tags=tags), replace(OTHER, ignored_by=grouping.ignored_by)


def count_types(conn: Connection, met: Iterable[tuple[int, Event]]) -> None:
    """Count the types of events that went to ``<other>``.

    :param met: the id of ``<other>``, and the event.
    """
    by_issue: dict[int, Counter[str]] = {}
    for issue_id, event in met:
        by_issue.setdefault(issue_id, Counter())[event.type[:200] or NO_TYPE] += 1
    for issue_id, counts in sorted(by_issue.items()):
        _count_types_of(conn, issue_id, counts)


def types_of(conn: Connection, issue_id: int) -> list[tuple[str, int]]:
    """Return the most frequent types of an ``<other>`` with their event counts, largest first.

    The counts are exact for at most :data:`MAX_TYPES` types. With more types, a count is too high
    by at most the number of events divided by :data:`MAX_TYPES`.
    """
    of = issue_tags.c
    query = select(of.value, of.times_seen).where(of.issue_id == issue_id, of.key == TYPE_TAG)
    query = query.order_by(of.times_seen.desc(), of.value).limit(SHOWN_TYPES)
    return [(value, int(times)) for value, times in conn.execute(query)]


def latest_overflow(conn: Connection, project_id: int, since: datetime) -> Any | None:
    """Return when a project last exceeded its limit, ``None`` if it did not after ``since``.

    :return: a row of ``over_at`` (the first event beyond the limit in that hour), ``over_limit``,
        and ``issue_id`` and ``status`` of the project's ``<other>``, if it has one.
    """
    of = new_issue_windows.c
    is_its_other = (groupings.c.project_id == of.project_id) & (
        (groupings.c.version == OTHER_VERSION) & (groupings.c.hash == OTHER.hash)
    )
    others = new_issue_windows.outerjoin(groupings, is_its_other)
    query = (
        select(of.over_at, of.over_limit, issues.c.id.label("issue_id"), issues.c.status)
        .select_from(others.outerjoin(issues, issues.c.id == groupings.c.issue_id))
        .where(of.project_id == project_id, of.over_at > since)
    )
    return conn.execute(query).first()


def _made_in_hour(conn: Connection, ids: Iterable[int], now: datetime) -> dict[int, int]:
    rows = _WINDOWS.fetch(conn, {"ids": sorted(ids)})
    return {project_id: made for project_id, hour, made in rows if hour == hour_of(now)}


def _count_types_of(conn: Connection, issue_id: int, counts: Counter[str]) -> None:
    """Keep the most frequent types by the Space-Saving algorithm.

    A new type replaces the rarest type and takes over its count. So a frequent type is among them,
    however many other types there are.

    Source: Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in
    data streams, ICDT 2005.
    """
    of = issue_tags.c
    query = select(of.value, of.times_seen).where(of.issue_id == issue_id, of.key == TYPE_TAG)
    before = {value: int(times) for value, times in conn.execute(query)}
    now = dict(before)
    for name, times in counts.most_common():
        taken = 0
        if name not in now and len(now) >= MAX_TYPES:
            rarest = min(now, key=lambda one: (now[one], one))
            taken = now.pop(rarest)
        now[name] = now.get(name, 0) + taken + times
    if gone := [name for name in before if name not in now]:
        of_type = of.issue_id == issue_id, of.key == TYPE_TAG
        conn.execute(delete(issue_tags).where(*of_type, of.value.in_(gone)))
    conn.execute(
        upsert(conn, issue_tags, times_seen=replaced),
        [
            {"issue_id": issue_id, "key": TYPE_TAG, "value": name, "times_seen": times}
            for name, times in sorted(now.items())
            if times != before.get(name)
        ],
    )


def _made(old: Any, new: Any) -> Any:
    """Add to the count of the same hour; a new hour starts at zero."""
    is_same = old.table.c.hour == new.table.c.hour
    return case((is_same, old), else_=0) + new


def _over_at(old: Any, new: Any) -> Any:
    """Keep the first time that the limit was exceeded in an hour, until it is in another hour."""
    is_first = new.is_not(None) & (old.is_(None) | (old < new.table.c.hour))
    return case((is_first, new), else_=old)


def other_row() -> dict[str, Any]:
    """Return the columns in which ``<other>`` differs from an issue.

    It is not a single error, so it has neither the title of an error nor a release.
    """
    return {
        "title": OTHER_TITLE,
        "culprit": OTHER_CULPRIT,
        "type": OTHER_TITLE,
        "is_other": True,
        "status": IssueStatus.UNRESOLVED,
        "first_release": None,
        "last_release": None,
    }
