"""Counting occurrences into their issues, inside the transaction that accepts the events."""

from __future__ import annotations

import functools
from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, case, func, update

from app.db import insert_for, utc_now
from app.events.affected import ISSUE, RELEASE, UserBook, hash_of
from app.issues.counting import count_hours, count_tags
from app.issues.grouping import Grouping
from app.issues.overflow import (
    OTHER_VERSION,
    count_new,
    count_types,
    in_other,
    keys_beyond,
    other_row,
)
from app.issues.tables import issue_likeness, issues, transitions
from app.protocol.event import Event

Key = tuple[int, str, str]


class Occurrence(NamedTuple):
    """An event and the issue that it belongs to.

    :param release_id: the number of its release; ``None`` where it names none.
    """

    project_id: int
    event: Event
    grouping: Grouping
    release_id: int | None = None

    @property
    def key(self) -> Key:
        """What an issue is alone with."""
        return self.project_id, self.grouping.version, self.grouping.hash

    @property
    def is_other(self) -> bool:
        """Whether it is counted into ``<other>`` instead of an issue of its own."""
        return self.grouping.version == OTHER_VERSION


class Recorded(NamedTuple):
    """What became of an occurrence. ``is_first``: it made its issue."""

    issue_id: int
    is_first: bool


def record_occurrences(
    conn: Connection,
    occurrences: list[Occurrence],
    now: datetime | None = None,
    users: UserBook | None = None,
    max_new_an_hour: int = 0,
) -> list[Recorded]:
    """Count events into their issues, made here if they are the first.

    A resolved issue that recurs is open again and regressed, by a row in its history; one that was
    resolved in a release only if it recurs in that one or in one that became known after it. An
    ignored one is counted and stays ignored. Events that a rule ignores make an ignored issue if it
    is new, and leave one that is there as it is.

    :param now: the transaction's time.
    :param users: counts whom they met, and remembers of whom there are too many.
    :param max_new_an_hour: issues that a project may make; events of further ones go to its issue
        ``<other>`` (:mod:`app.issues.overflow`). 0 means no limit.
    :return: for each, in order.
    """
    now = now or utc_now()
    groups = _by_key(occurrences)
    if beyond := keys_beyond(conn, groups, max_new_an_hour, now):
        occurrences = [_in_other(one) if one.key in beyond else one for one in occurrences]
        groups = _by_key(occurrences)
    counted = _count_into_issues(conn, groups)
    if max_new_an_hour:
        made = Counter(key[0] for key, issue in counted.items() if issue.is_new and _is_own(key))
        count_new(conn, made, beyond, max_new_an_hour, now)
    _write_history(conn, [(counted[key], group[0].event) for key, group in groups.items()], now)
    met = [(counted[one.key].id, one.event) for one in occurrences]
    _count_users(conn, [(one, counted[one.key].id) for one in occurrences], users, now)
    count_hours(conn, [issue_id for issue_id, _ in met], now)
    if beyond:
        count_types(conn, [(counted[one.key].id, one.event) for one in occurrences if one.is_other])
    count_tags(conn, met)
    firsts = {id(group[0]) for key, group in groups.items() if counted[key].is_new and _is_own(key)}
    return [Recorded(counted[one.key].id, id(one) in firsts) for one in occurrences]


def _by_key(occurrences: list[Occurrence]) -> dict[Key, list[Occurrence]]:
    groups: dict[Key, list[Occurrence]] = {}
    for occurrence in occurrences:
        groups.setdefault(occurrence.key, []).append(occurrence)
    return groups


def _in_other(one: Occurrence) -> Occurrence:
    event, grouping = in_other(one.event, one.grouping)
    return one._replace(event=event, grouping=grouping)


def _is_own(key: Key) -> bool:
    """Whether a key is an error's own, not that of ``<other>``."""
    return key[1] != OTHER_VERSION


class _Counted(NamedTuple):
    id: int
    is_new: bool
    # Whether rules of alerts about new issues and regressions look at it.
    has_alerts: bool
    # The event that brings it back, if one does.
    regressed_by: Event | None
    ignored_by: str | None
    # Its payload was removed; only what a person decided had been kept of it.
    was_kept: bool


def _count_into_issues(
    conn: Connection, groups: dict[Key, list[Occurrence]]
) -> dict[Key, _Counted]:
    if not groups:
        return {}
    found = conn.execute(_upsert(conn.dialect.name), [_row(group) for group in groups.values()])
    # Told by their keys, since the rows come back in whatever order.
    counted = {key: _counted(row, groups[key]) for row in found for key in [_key_of(row)]}
    _restore(conn, [groups[key][-1] for key, issue in counted.items() if issue.was_kept])
    return counted


def _restore(conn: Connection, latest: list[Occurrence]) -> None:
    """Give back to issues what they lost with their payload, from an event of each."""
    for one in latest:
        version, hash = one.grouping.version, one.grouping.hash
        is_it = (
            issues.c.project_id == one.project_id,
            issues.c.grouping_version == version,
            issues.c.grouping_hash == hash,
        )
        words = {"type": one.event.type[:200], "grouping_key": one.grouping.key}
        back = update(issues).where(*is_it).values(**words, payload_removed_at=None)
        row = {"issue_id": conn.scalar(back.returning(issues.c.id)), "project_id": one.project_id}
        # Of no version, so that its terms are read again.
        unread = insert_for(conn.dialect.name, issue_likeness).values(**row, version=0, terms="")
        conn.execute(unread.on_conflict_do_nothing())


def _key_of(row: Row[Any]) -> Key:
    return row.project_id, row.grouping_version, row.grouping_hash


def _counted(row: Row[Any], group: list[Occurrence]) -> _Counted:
    # An issue that was there had been seen before, so its count is beyond this batch's.
    is_new, ignored_by = row.times_seen == len(group), _ignored_by(group)
    is_over = row.status == "resolved" and not ignored_by
    regressed_by = _brings_back(group, row.resolved_after) if is_over else None
    # One notification says that the limit was reached; `<other>` itself is no new kind of error,
    # and no rule may hide it for what its first event was.
    is_own = _is_own(_key_of(row))
    hidden_by = ignored_by if is_new and is_own else None
    was_kept = row.payload_removed_at is not None
    return _Counted(row.id, is_new, is_own and not hidden_by, regressed_by, hidden_by, was_kept)


def _brings_back(group: list[Occurrence], resolved_after: int | None) -> Event | None:
    """Return the first event that is not of a release which may still have the issue.

    One without a release does not say that it is of a newer one.
    """
    for one in group:
        if resolved_after is None or (one.release_id or 0) > resolved_after:
            return one.event
    return None


def _ignored_by(group: list[Occurrence]) -> str | None:
    """Return the rule that ignores all of these events, ``None`` when one of them is not."""
    rules = [one.grouping.ignored_by for one in group]
    return rules[0] if all(rules) else None


def _write_history(conn: Connection, counted: list[tuple[_Counted, Event]], now: datetime) -> None:
    """Write a row for each issue that is new or recurs, and open again what was resolved."""
    rows = [
        _transition(issue, issue.regressed_by or first, now, kind)
        for issue, first in counted
        for kind in ["first_seen" if issue.is_new else "regressed"]
        if issue.is_new or issue.regressed_by
    ]
    rows += [
        _transition(issue, event, now, "ignored", f"rule: {issue.ignored_by}")
        for issue, event in counted
        if issue.ignored_by
    ]
    if rows:
        conn.execute(_TRANSITION_INSERT, rows)
    # Sound without a condition: Store.write makes this the only writer until the commit.
    back = [issue.id for issue, _ in counted if issue.regressed_by]
    if back:
        is_open = {"status": "unresolved", "resolved_after": None, "resolved_in": None}
        conn.execute(update(issues).where(issues.c.id.in_(back)).values(**is_open, regressed=True))


def _transition(
    issue: _Counted, event: Event, now: datetime, kind: str, actor: str | None = None
) -> dict[str, Any]:
    return {
        "issue_id": issue.id,
        "at": now,
        "kind": kind,
        "actor": actor and actor[:200],
        "event_id": event.event_id,
        "release": event.release and event.release[:250],
        "alerts_due": True if issue.has_alerts else None,
    }


_TRANSITION_INSERT = transitions.insert()


# Built once: putting this statement together takes longer than executing it.
@functools.cache
def _upsert(dialect: str) -> Any:
    statement = insert_for(dialect, issues)
    new = statement.excluded
    # Greatest and least by CASE: the two databases name those functions differently.
    return statement.on_conflict_do_update(
        index_elements=["project_id", "grouping_version", "grouping_hash"],
        set_={
            "title": new.title,
            "culprit": new.culprit,
            "level": new.level,
            "times_seen": issues.c.times_seen + new.times_seen,
            "stored_event_count": issues.c.stored_event_count + new.stored_event_count,
            "first_seen": case(
                (new.first_seen < issues.c.first_seen, new.first_seen), else_=issues.c.first_seen
            ),
            "last_seen": case(
                (new.last_seen > issues.c.last_seen, new.last_seen), else_=issues.c.last_seen
            ),
            "last_release": func.coalesce(new.last_release, issues.c.last_release),
        },
    ).returning(
        issues.c.project_id,
        issues.c.grouping_version,
        issues.c.grouping_hash,
        issues.c.id,
        issues.c.times_seen,
        issues.c.status,
        issues.c.resolved_after,
        issues.c.payload_removed_at,
    )


def _row(group: list[Occurrence]) -> dict[str, Any]:
    latest, grouping = group[-1].event, group[-1].grouping
    seen = [one.event.timestamp for one in group]
    release = latest.release and latest.release[:250]
    return {
        "project_id": group[-1].project_id,
        "grouping_version": grouping.version,
        "grouping_hash": grouping.hash,
        "grouping_key": grouping.key,
        "grouping_reason": grouping.reason[:200],
        "title": latest.title[:500],
        "culprit": latest.culprit[:500],
        "type": latest.type[:200],
        "level": latest.level,
        # Counts for a new issue alone: what a person looks at is not taken out of their sight.
        "status": "ignored" if _ignored_by(group) else "unresolved",
        "times_seen": len(group),
        "stored_event_count": len(group),
        "users": 0,
        "first_seen": min(seen),
        "last_seen": max(seen),
        "first_release": release,
        "last_release": release,
        **(other_row() if group[-1].is_other else {}),
    }


def _count_users(
    conn: Connection,
    met: list[tuple[Occurrence, int]],
    users: UserBook | None,
    now: datetime,
) -> None:
    rows = []
    for one, issue_id in met:
        if identity := one.event.user_identity:
            who = hash_of(identity)
            rows.append((ISSUE, issue_id, who))
            if one.release_id is not None:
                rows.append((RELEASE, one.release_id, who))
    new = (users or UserBook()).count(conn, rows, now)
    if new:
        conn.execute(_USERS_ADDED, [{"of": of, "more": more} for of, more in new.items()])


_USERS_ADDED = (
    update(issues)
    .where(issues.c.id == bindparam("of"))
    .values(users=issues.c.users + bindparam("more"))
)
