"""Name issues in notifications: the data of each issue at that moment, the worst issue first.

Retention removes events, and the counts of issues grow. So the data of the named issues is stored
with the notification. Its list is still the same after a year.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, func, or_, select

from app.events.queries import read_stored
from app.events.tables import envelopes, events
from app.issues.queries import find_issue
from app.issues.tables import MERGED, STATUSES, issues, transitions
from app.protocol.event import Event, first_line
from app.protocol.libraries import newest_own_frame
from app.protocol.stack import Frame
from app.store import in_batches

# The most issues that are stored with a notification. A project has at most MAX_NEW_ISSUES_PER_HOUR
# new issues in an hour.
MAX_NAMED = 1000
# The most events that are read for function, file and line. This holds the store's only writer for
# about 20 ms.
MAX_READ = 50
# Ids in one query. SQLite accepts 32,766.
_IDS_AT_ONCE = 500
# The transitions of issues that are back, and those that went before.
BACK = ("regressed", "unignored")
_AWAY = ("resolved", "ignored")
# There are notifications only about issues with these states.
_LOUD = ("unresolved", "resolved")


class Match(NamedTuple):
    """An issue that matches a rule, with the event that matched."""

    issue_id: int
    event_id: str | None = None
    environment: str | None = None
    release: str | None = None


@dataclass(frozen=True)
class NamedIssue:
    """An issue as a notification names it. The fields are the columns of ``notice_issues``.

    :param place: function, file and line; if they are not known, the culprit.
    :param back: for an issue that is back: ``resolved by admin 3 d ago in 2.3.1, seen in 2.4.0``,
        or ``ignored by admin 3 d ago until 50 more users; 52 more users since it was ignored``.
    :param cause: the first line of the exception that caused this one, if there is another one.
    """

    issue_id: int
    event_id: str | None
    title: str
    place: str
    events: int
    users: int
    environment: str | None = None
    release: str | None = None
    back: str | None = None
    cause: str | None = None
    culprit: str = ""


def name_issues(
    conn: Connection, matches: Iterable[Match], now: datetime, *, came_back: bool = False
) -> tuple[list[NamedIssue], int]:
    """Return the data of issues, of at most the worst :data:`MAX_NAMED`, and the number of all.

    Issues that a person has ignored or deleted since are left out. Merged issues count as one.

    :param came_back: include who resolved or ignored the issues, and when.
    """
    found = _known(conn, matches)
    found.sort(key=lambda pair: (-pair[1].users, -pair[1].times_seen, pair[1].id))
    worst = found[:MAX_NAMED]
    backs = _backs(conn, worst, now) if came_back else {}
    read = {row.id: _read(conn, match, row) for match, row in worst[:MAX_READ]}
    return [_named(match, row, read.get(row.id), backs) for match, row in worst], len(found)


def existing(conn: Connection, issue_ids: Sequence[int]) -> set[int]:
    """Return the issues that have a page: they exist, or they are merged into another issue."""
    wanted = (*STATUSES, MERGED)
    found: set[int] = set()
    for ids in in_batches(issue_ids, _IDS_AT_ONCE):
        query = select(issues.c.id).where(issues.c.id.in_(ids), issues.c.status.in_(wanted))
        found.update(conn.scalars(query))
    return found


def _known(conn: Connection, matches: Iterable[Match]) -> list[tuple[Match, Row[Any]]]:
    by_id = {match.issue_id: match for match in matches}
    found: dict[int, tuple[Match, Row[Any]]] = {}
    for ids in in_batches(sorted(by_id), _IDS_AT_ONCE):
        for row in list(conn.execute(select(issues).where(issues.c.id.in_(ids)))):
            now = find_issue(conn, row.id) if row.status == MERGED else row
            if now is not None and now.status in _LOUD:
                found.setdefault(now.id, (by_id[row.id], now))
    return list(found.values())


def _named(match: Match, row: Row[Any], event: Event | None, backs: dict[int, str]) -> NamedIssue:
    return NamedIssue(
        **match._asdict() | {"issue_id": row.id},
        title=row.title,
        place=(_place(event) if event else "") or row.culprit,
        events=row.times_seen,
        users=row.users,
        back=backs.get(row.id),
        cause=_cause(event) if event else None,
        culprit=row.culprit,
    )


def _read(conn: Connection, match: Match, row: Row[Any]) -> Event | None:
    if match.event_id is None:
        return None
    query = (
        select(envelopes.c.body, events.c.received_at)
        .join(events, events.c.envelope_id == envelopes.c.id)
        .where(events.c.project_id == row.project_id, events.c.event_id == match.event_id)
    )
    stored = conn.execute(query).first()
    try:
        return read_stored(stored.body, match.event_id, stored.received_at)[0] if stored else None
    except ValueError:
        return None  # The page of the event shows that it is damaged.


def _place(event: Event) -> str:
    """Return ``function, file:line`` of the newest frame of the application."""
    frame = newest_own_frame(event.main_frames)
    if frame is None:
        return ""
    return ", ".join(part for part in (frame.function, _file_and_line(frame)) if part)[:500]


def _file_and_line(frame: Frame) -> str:
    file = frame.filename or frame.abs_path or frame.module or frame.package or ""
    return f"{file}:{frame.lineno}" if file and frame.lineno else file


def _cause(event: Event) -> str | None:
    """Return the first line of the exception that was raised first, ``None`` if it is the main
    exception.
    """
    first = event.exceptions[0] if event.exceptions else None
    if first is None or first is event.main_exception:
        return None
    return ": ".join(part for part in (first.type, first_line(first.value)) if part)[:300] or None


def _backs(
    conn: Connection, found: Sequence[tuple[Match, Row[Any]]], now: datetime
) -> dict[int, str]:
    """Return in words who had resolved or ignored each issue that is back, and when."""
    seen_in = {row.id: match.release for match, row in found}
    history: dict[int, dict[str, Row[Any]]] = {}
    for row in _returns(conn, sorted(seen_in)):
        history.setdefault(row.issue_id, {})[row.kind] = row
    return {
        issue_id: words
        for issue_id, release in seen_in.items()
        if (words := _back(history.get(issue_id, {}), release, now))
    }


def _returns(conn: Connection, ids: Sequence[int]) -> Iterable[Row[Any]]:
    """Yield the last return of each issue, and the row that had put the issue away before."""
    back = transitions.alias()
    for part in in_batches(ids, _IDS_AT_ONCE):
        last = (
            select(back.c.issue_id, func.max(back.c.id).label("id"))
            .where(back.c.issue_id.in_(part), back.c.kind.in_(BACK))
            .group_by(back.c.issue_id)
            .subquery()
        )
        before = (
            select(func.max(transitions.c.id))
            .join(
                last,
                and_(last.c.issue_id == transitions.c.issue_id, transitions.c.id < last.c.id),
            )
            .where(transitions.c.kind.in_(_AWAY))
            .group_by(transitions.c.issue_id)
        )
        which = or_(transitions.c.id.in_(before), transitions.c.id.in_(select(last.c.id)))
        yield from conn.execute(select(transitions).where(which))


def _back(history: dict[str, Row[Any]], release: str | None, now: datetime) -> str:
    """Return when and by whom an issue was put away, why it is back, and in which release.

    :param history: from :func:`_returns`, by kind.
    """
    parts = []
    away = history.get("resolved") or history.get("ignored")
    if away is not None:
        who = f" by {away.actor}" if away.actor else ""
        where = f" in {_version(away.release)}" if away.release else ""
        where = where or (f" {away.note}" if away.note else "")
        why = f"; {history['unignored'].note}" if "unignored" in history else ""
        parts.append(f"{away.kind}{who} {_ago(away.at, now)}{where}{why}")
    if release:
        parts.append(f"seen in {_version(release)}")
    return ", ".join(parts)[:500]


def _version(release: str) -> str:
    """Return the version of a release, without the name of its package."""
    return release.rpartition("@")[2] or release


def _ago(moment: datetime, now: datetime) -> str:
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name} ago"
    return "just now"
