"""Record events in their issues, inside the transaction that stores the events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, func, update

from app.issues.counting import count_tags
from app.issues.first_seen import move_first_seen
from app.issues.fixed_in import Resolution, is_reached
from app.issues.grouping import Grouping
from app.issues.groupings import (
    Attached,
    Key,
    Known,
    Seen,
    attach,
    count_seen,
    find_groupings,
    make_groupings,
    projects_with_older,
)
from app.issues.over_time import count_hours
from app.issues.overflow import (
    OTHER_CULPRIT,
    OTHER_TITLE,
    OTHER_VERSION,
    count_new,
    count_types,
    in_other,
    keys_beyond,
    other_row,
)
from app.issues.tables import IssueStatus, groupings, issue_similarity, issues, transitions
from app.protocol.event import Event
from app.protocol.test_error import is_test_error
from app.stats.tables import VERSION_LENGTH
from app.stats.users import ISSUE, RELEASE, UserCounter, hash_of
from app.stats.windows import hour_number
from app.store import DriverStatement, insert_for, utc_now


@dataclass(frozen=True, eq=False)
class Occurrence:
    """An event with its grouping.

    :param release_id: the number of its release; ``None`` if the event has no release.
    :param older: return the grouping of the event by the previous version of the rules.

    ``key`` is the key by which its stored grouping is found. ``title`` and ``culprit`` are those of
    the event, as long as they are stored. ``user_hash`` is the hash of the affected user; ``None``
    without a user.
    """

    project_id: int
    event: Event
    grouping: Grouping
    release_id: int | None = None
    older: Callable[[], Grouping] | None = None
    key: Key = field(init=False)
    title: str = field(init=False)
    culprit: str = field(init=False)
    user_hash: str | None = field(init=False)

    def __post_init__(self) -> None:
        # Computed once: each is read several times, and an event and its grouping do not change.
        identity = self.event.user_identity
        computed = {
            "key": (self.project_id, self.grouping.version, self.grouping.hash),
            "title": self.event.title[:500],
            "culprit": self.event.culprit[:500],
            "user_hash": hash_of(identity) if identity else None,
        }
        for name, value in computed.items():
            object.__setattr__(self, name, value)

    @property
    def is_other(self) -> bool:
        """Whether it is counted in ``<other>`` instead of its own issue."""
        return self.grouping.version == OTHER_VERSION


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
    groups = _by_key(occurrences)
    known = find_groupings(conn, groups)
    known |= _attach_to_older(conn, [g[0] for key, g in groups.items() if key not in known], now)
    unknown = [key for key in groups if key not in known and _is_own(key)]
    beyond = keys_beyond(conn, unknown, max_new_an_hour, now)
    if beyond:
        occurrences = [
            _in_other(occurrence) if occurrence.key in beyond else occurrence
            for occurrence in occurrences
        ]
        groups = _by_key(occurrences)
        known |= find_groupings(conn, groups.keys() - known.keys())
    known |= _make_issues(conn, [g for key, g in groups.items() if key not in known], now)
    if max_new_an_hour:
        made = Counter(
            key[0] for key, occurrence in known.items() if occurrence.is_new and _is_own(key)
        )
        count_new(conn, made, beyond, max_new_an_hour, now)
    _count(conn, occurrences, groups, known, now)
    met = [(known[occurrence.key].issue_id, occurrence) for occurrence in occurrences]
    _count_users(conn, met, users, now)
    count_hours(conn, [(issue_id, occurrence.event.timestamp) for issue_id, occurrence in met], now)
    if beyond:
        count_types(
            conn,
            [(issue_id, occurrence.event) for issue_id, occurrence in met if occurrence.is_other],
        )
    count_tags(conn, [(issue_id, occurrence.event) for issue_id, occurrence in met])
    firsts = {id(group[0]) for key, group in groups.items() if known[key].is_new and _is_own(key)}
    return [
        Recorded(known[occurrence.key].issue_id, id(occurrence) in firsts, known[occurrence.key].id)
        for occurrence in occurrences
    ]


def _by_key(occurrences: list[Occurrence]) -> dict[Key, list[Occurrence]]:
    groups: dict[Key, list[Occurrence]] = {}
    for occurrence in occurrences:
        groups.setdefault(occurrence.key, []).append(occurrence)
    return groups


def _in_other(occurrence: Occurrence) -> Occurrence:
    event, grouping = in_other(occurrence.event, occurrence.grouping)
    return replace(occurrence, event=event, grouping=grouping)


def _is_own(key: Key) -> bool:
    """Return whether a key belongs to an error, not to ``<other>``."""
    return key[1] != OTHER_VERSION


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


def _make_issues(
    conn: Connection, groups: list[list[Occurrence]], now: datetime
) -> dict[Key, Known]:
    if not groups:
        return {}
    rows = [_row(group, now) for group in groups]
    made = list(zip(groups, rows, _ISSUE_INSERT.fetch_each(conn, rows), strict=True))
    ids = make_groupings(
        conn, [(group[0].key, group[0].grouping, issue_id) for group, _, (issue_id,) in made], now
    )
    return {
        key: Known(ids[key], issue_id, row["status"], None, None, None, False, is_new=True)
        for group, row, (issue_id,) in made
        for key in [group[0].key]
    }


_ISSUE_INSERT = DriverStatement(lambda dialect: issues.insert().returning(issues.c.id))


class _Change(NamedTuple):
    """What a batch changes in an issue.

    :param has_alerts: whether alert rules for new issues and regressions process it.
    :param regressed_by: the event that reopens the resolved issue, if there is such an event.
    :param ignored_by: the rule that ignores the new issue, if there is such a rule.
    """

    id: int
    is_new: bool
    has_alerts: bool
    regressed_by: Event | None
    ignored_by: str | None
    group: list[Occurrence]


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
    changes = [_change(conn, known[group[0].key], group) for group in by_issue.values()]
    rows = [_update_row(change, now) for change in changes if not change.is_new]
    _COUNTED.run(conn, sorted(rows, key=itemgetter("of")))
    _restore(conn, [known[change.group[-1].key] for change in changes], by_issue)
    _write_history(conn, changes)
    move_first_seen(conn, _earlier([known[group[0].key] for group in by_issue.values()], by_issue))


def _earlier(touched: list[Known], by_issue: dict[int, list[Occurrence]]) -> dict[int, Event]:
    """Return the earliest event of each issue that happened before the issue was first seen."""
    events = {
        known.issue_id: (known.first_seen, _earliest(by_issue[known.issue_id])) for known in touched
    }
    return {
        issue_id: event
        for issue_id, (first_seen, event) in events.items()
        if first_seen is not None and event.timestamp < first_seen
    }


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


def _change(conn: Connection, known: Known, group: list[Occurrence]) -> _Change:
    ignored_by = _ignored_by(group)
    is_over = known.status == IssueStatus.RESOLVED and not ignored_by
    regressed_by = _brings_back(conn, group, known) if is_over else None
    # A separate notification says that the limit was reached. `<other>` itself is not a new kind
    # of error, and a rule that ignores its first event must not hide it.
    is_own = _is_own(group[0].key)
    hidden_by = ignored_by if known.is_new and is_own else None
    has_alerts = is_own and not hidden_by
    return _Change(known.issue_id, known.is_new, has_alerts, regressed_by, hidden_by, group)


def _brings_back(conn: Connection, group: list[Occurrence], known: Known) -> Event | None:
    """Return the first event that reopens the issue, ``None`` if there is no such event.

    It happened after the issue was resolved, and its release should have the fix. An event without
    a release does not reopen an issue that was resolved in a release.
    """
    checked: dict[str, bool] = {}
    for occurrence in group:
        if known.resolved_at is not None and occurrence.event.timestamp < known.resolved_at:
            continue  # A late event, from a device that was offline.
        if known.resolved_after is None:
            return occurrence.event
        if occurrence.release_id is None or not occurrence.event.release:
            continue
        version = occurrence.event.release[:VERSION_LENGTH]
        if version not in checked:
            fix = Resolution(occurrence.project_id, known.resolved_after, known.resolved_in)
            checked[version] = is_reached(conn, fix, occurrence.release_id, version)
        if checked[version]:
            return occurrence.event
    return None


def _ignored_by(group: list[Occurrence]) -> str | None:
    """Return the name of a rule if rules ignore all of these events, else ``None``."""
    rules = [occurrence.grouping.ignored_by for occurrence in group]
    return rules[0] if all(rules) else None


def _write_history(conn: Connection, changes: list[_Change]) -> None:
    """Write history rows for new and regressed issues, and reopen the regressed ones."""
    rows = [
        _transition(change, change.regressed_by or _earliest(change.group), kind)
        for change in changes
        for kind in ["first_seen" if change.is_new else "regressed"]
        if change.is_new or change.regressed_by
    ]
    rows += [
        _transition(change, change.group[0].event, "ignored", f"rule: {change.ignored_by}")
        for change in changes
        if change.ignored_by
    ]
    _TRANSITION_INSERT.run(conn, rows)
    # No condition is needed: Store.write makes this the only writer until the commit.
    back = [change.id for change in changes if change.regressed_by]
    if back:
        is_open = {"status": IssueStatus.UNRESOLVED, "resolved_after": None, "resolved_in": None}
        is_open |= {"resolved_at": None}
        conn.execute(update(issues).where(issues.c.id.in_(back)).values(**is_open, regressed=True))


def _earliest(group: list[Occurrence]) -> Event:
    return min((occurrence.event for occurrence in group), key=lambda event: event.timestamp)


def _transition(
    issue: _Change, event: Event, kind: str, actor: str | None = None
) -> dict[str, Any]:
    return {
        "issue_id": issue.id,
        # The event's time, like the times of the issue. Alerts use the column `alerts_due` instead.
        "at": event.timestamp,
        "kind": kind,
        "actor": actor and actor[:200],
        "event_id": event.event_id,
        "release": event.release and event.release[:250],
        "alerts_due": True if issue.has_alerts else None,
    }


_TRANSITION_INSERT = DriverStatement(lambda dialect: transitions.insert())


def _counted_statement(dialect: str) -> Any:
    of, moment = issues.c, issues.c.first_seen.type
    first, last = bindparam("first", type_=moment), bindparam("last", type_=moment)
    more = bindparam("more", type_=of.times_seen.type)
    # CASE instead of greatest and least: the two databases name those functions differently.
    return (
        update(issues)
        .where(of.id == bindparam("of"))
        .values(
            title=bindparam("new_title"),
            culprit=bindparam("new_culprit"),
            level=bindparam("new_level"),
            times_seen=of.times_seen + more,
            stored_event_count=of.stored_event_count + more,
            first_seen=case((first < of.first_seen, first), else_=of.first_seen),
            last_seen=case((last > of.last_seen, last), else_=of.last_seen),
            last_received_at=bindparam("now", type_=moment),
            last_release=func.coalesce(
                bindparam("new_release", type_=of.last_release.type), of.last_release
            ),
        )
    )


_COUNTED = DriverStatement(_counted_statement)


def _update_row(change: _Change, now: datetime) -> dict[str, Any]:
    latest, seen = change.group[-1], [occurrence.event.timestamp for occurrence in change.group]
    row = {
        "of": change.id,
        "new_title": latest.title,
        "new_culprit": latest.culprit,
        "new_level": latest.event.level,
        "more": len(seen),
        "first": min(seen),
        "last": max(seen),
        "now": now,
        "new_release": latest.event.release and latest.event.release[:250],
    }
    if latest.is_other:
        row |= {"new_title": OTHER_TITLE, "new_culprit": OTHER_CULPRIT, "new_release": None}
    return row


def _row(group: list[Occurrence], now: datetime) -> dict[str, Any]:
    latest = group[-1].event
    seen = [occurrence.event.timestamp for occurrence in group]
    release = latest.release and latest.release[:250]
    return {
        "project_id": group[-1].project_id,
        "title": group[-1].title,
        "culprit": group[-1].culprit,
        "type": latest.type[:200],
        "level": latest.level,
        "is_other": False,
        "is_test": is_test_error(latest, group[-1].grouping.key),
        # Used for new issues only: a rule must not hide an issue that a person may be looking at.
        "status": IssueStatus.IGNORED if _ignored_by(group) else IssueStatus.UNRESOLVED,
        "times_seen": len(group),
        "stored_event_count": len(group),
        "users": 0,
        "first_seen": min(seen),
        "last_seen": max(seen),
        "last_received_at": now,
        "first_release": release,
        "last_release": release,
        **(other_row() if group[-1].is_other else {}),
    }


def _count_users(
    conn: Connection,
    met: Iterable[tuple[int, Occurrence]],
    users: UserCounter | None,
    now: datetime,
) -> None:
    rows = []
    for issue_id, occurrence in met:
        if who := occurrence.user_hash:
            hour = hour_number(occurrence.event.timestamp)
            rows.append((ISSUE, issue_id, who, hour))
            if occurrence.release_id is not None:
                rows.append((RELEASE, occurrence.release_id, who, hour))
    new = (users or UserCounter()).count(conn, rows, now)
    _USERS_ADDED.run(conn, [{"of": of, "more": more} for of, more in sorted(new.items())])


_USERS_ADDED = DriverStatement(
    lambda dialect: (
        update(issues)
        .where(issues.c.id == bindparam("of"))
        .values(users=issues.c.users + bindparam("more"))
    )
)
