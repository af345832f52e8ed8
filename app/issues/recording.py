"""Record events in their issues, inside the transaction that stores the events.

occurrence     an event with its grouping
groupings      finds its issue, also by the key of older rules
overflow       sends it to ``<other>`` beyond the limit of new issues
new_issues     makes the issue if it is unknown
regressions    whether it brings a resolved issue back
issue_counts   counts it
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, update

from app.issues.counting import count_tags
from app.issues.first_seen import move_first_seen
from app.issues.groupings import (
    Attached,
    Key,
    Known,
    Seen,
    attach,
    count_seen,
    find_groupings,
    projects_with_older,
)
from app.issues.issue_counts import count_events, count_users
from app.issues.new_issues import make_issues
from app.issues.occurrence import Occurrence, earliest, is_own
from app.issues.over_time import count_hours
from app.issues.overflow import count_new, count_types, in_other, keys_beyond
from app.issues.regressions import change_of, write_history
from app.issues.tables import groupings, issue_similarity, issues
from app.protocol.event import Event
from app.stats.users import UserCounter
from app.store import insert_for, utc_now


class Recorded(NamedTuple):
    """Where an occurrence was recorded; ``is_first`` if it made its issue."""

    issue_id: int
    is_first: bool
    grouping_id: int


def record_occurrences(
    conn: Connection,
    occurrences: list[Occurrence],
    now: datetime | None = None,
    users: UserCounter | None = None,
    max_new_an_hour: int = 0,
) -> list[Recorded]:
    """Count events in their issues, and make new issues for unknown groupings.

    A resolved issue that recurs becomes unresolved and regressed, with a row in its history. An
    issue that was resolved in a release regresses only with an event of that release or of a newer
    release (:mod:`.fixed_in`). A late event that happened before the issue was resolved does not
    reopen it. An ignored issue is counted and stays ignored. Events that a rule ignores make an
    ignored issue if the issue is new. They do not change the status of an existing issue.

    :param now: the time of the transaction.
    :param users: counts the affected users, and remembers the issues and releases that reached the
        largest number of users today.
    :param max_new_an_hour: the largest number of new issues per project and hour. Further events
        go to the project's issue ``<other>`` (:mod:`app.issues.overflow`). 0 means no limit.
    :return: the result for each occurrence, in order.
    """
    now = now or utc_now()
    occurrences, groups, known = _with_issues(conn, occurrences, max_new_an_hour, now)
    _count(conn, occurrences, groups, known, now)
    met = [(known[occurrence.key].issue_id, occurrence) for occurrence in occurrences]
    count_users(conn, met, users, now)
    count_hours(conn, [(issue_id, occurrence.event.timestamp) for issue_id, occurrence in met], now)
    others = [(issue_id, occurrence.event) for issue_id, occurrence in met if occurrence.is_other]
    if others:
        count_types(conn, others)
    count_tags(conn, [(issue_id, occurrence.event) for issue_id, occurrence in met])
    firsts = {id(group[0]) for key, group in groups.items() if known[key].is_new and is_own(key)}
    return [
        Recorded(known[occurrence.key].issue_id, id(occurrence) in firsts, known[occurrence.key].id)
        for occurrence in occurrences
    ]


def _with_issues(
    conn: Connection, occurrences: list[Occurrence], max_new_an_hour: int, now: datetime
) -> tuple[list[Occurrence], dict[Key, list[Occurrence]], dict[Key, Known]]:
    """Find the groupings of events, and make issues for unknown ones, up to the limit of an hour.

    :return: the occurrences, those beyond the limit in ``<other>``; the same by key; and the
        groupings by key.
    """
    groups = _by_key(occurrences)
    known = find_groupings(conn, groups)
    known |= _attach_to_older(conn, [g[0] for key, g in groups.items() if key not in known], now)
    unknown = [key for key in groups if key not in known and is_own(key)]
    beyond = keys_beyond(conn, unknown, max_new_an_hour, now)
    if beyond:
        occurrences = [
            _in_other(occurrence) if occurrence.key in beyond else occurrence
            for occurrence in occurrences
        ]
        groups = _by_key(occurrences)
        known |= find_groupings(conn, groups.keys() - known.keys())
    known |= make_issues(conn, [g for key, g in groups.items() if key not in known], now)
    if max_new_an_hour:
        made = Counter(key[0] for key, grouping in known.items() if grouping.is_new and is_own(key))
        count_new(conn, made, beyond, max_new_an_hour, now)
    return occurrences, groups, known


def _by_key(occurrences: list[Occurrence]) -> dict[Key, list[Occurrence]]:
    groups: dict[Key, list[Occurrence]] = {}
    for occurrence in occurrences:
        groups.setdefault(occurrence.key, []).append(occurrence)
    return groups


def _in_other(occurrence: Occurrence) -> Occurrence:
    event, grouping = in_other(occurrence.event, occurrence.grouping)
    return replace(occurrence, event=event, grouping=grouping)


def _attach_to_older(conn: Connection, firsts: list[Occurrence], now: datetime) -> dict[Key, Known]:
    """Attach new keys to issues that are known by the older rules, and return them by key.

    :param firsts: an occurrence of each unknown key.
    """
    some = [first for first in firsts if first.older]
    may_have = (
        projects_with_older(conn, [occurrence.project_id for occurrence in some], now)
        if some
        else set()
    )
    asked = {
        occurrence.key: (occurrence, (occurrence.project_id, older.version, older.hash))
        for occurrence in some
        if occurrence.older and occurrence.project_id in may_have
        for older in [occurrence.older()]
    }
    known = find_groupings(conn, {older for _, older in asked.values()})
    found = [
        Attached(key, occurrence.grouping, known[older])
        for key, (occurrence, older) in asked.items()
        if older in known
    ]
    return attach(conn, found, now)


def _count(
    conn: Connection,
    occurrences: list[Occurrence],
    groups: dict[Key, list[Occurrence]],
    known: dict[Key, Known],
    now: datetime,
) -> None:
    count_seen(conn, [_seen(known[key].id, group) for key, group in groups.items()])
    # Several groupings may lead to one issue.
    by_issue: dict[int, list[Occurrence]] = {}
    for occurrence in occurrences:
        by_issue.setdefault(known[occurrence.key].issue_id, []).append(occurrence)
    changes = [change_of(conn, known[group[0].key], group) for group in by_issue.values()]
    count_events(conn, [(change.id, change.group) for change in changes if not change.is_new], now)
    _restore(conn, [known[change.group[-1].key] for change in changes], by_issue)
    write_history(conn, changes)
    move_first_seen(conn, _earlier([known[group[0].key] for group in by_issue.values()], by_issue))


def _seen(grouping_id: int, group: list[Occurrence]) -> Seen:
    times = [occurrence.event.timestamp for occurrence in group]
    return Seen(grouping_id, len(group), min(times), max(times))


def _restore(conn: Connection, touched: list[Known], by_issue: dict[int, list[Occurrence]]) -> None:
    """Restore the type and key that issues lost with their payload, from an event of each."""
    kept = [known for known in touched if known.was_kept]
    for known in sorted(kept, key=lambda known: known.issue_id):
        occurrence = by_issue[known.issue_id][-1]
        words = {"type": occurrence.event.type[:200], "payload_removed_at": None}
        conn.execute(update(issues).where(issues.c.id == known.issue_id).values(**words))
        of_key = update(groupings).where(groupings.c.id == known.id)
        conn.execute(of_key.values(key=occurrence.grouping.key))
        row = {"issue_id": known.issue_id, "project_id": occurrence.project_id}
        # Version 0 makes the background task read its terms again.
        unread = insert_for(conn.dialect.name, issue_similarity).values(**row, version=0, terms="")
        conn.execute(unread.on_conflict_do_nothing())


def _earlier(touched: list[Known], by_issue: dict[int, list[Occurrence]]) -> dict[int, Event]:
    """Return the earliest event of each issue that happened before the issue was first seen."""
    events = {
        known.issue_id: (known.first_seen, earliest(by_issue[known.issue_id])) for known in touched
    }
    return {
        issue_id: event
        for issue_id, (first_seen, event) in events.items()
        if first_seen is not None and event.timestamp < first_seen
    }
