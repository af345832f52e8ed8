"""End the ignoring of issues whose condition holds (:mod:`app.issues.ignore_until`).

A background task reads the issues that are ignored until something: no event pays for it. An issue
whose condition holds is open again. A row of its history says why, and alerts process that row as
they process a regression.

Each kind of condition has a function in :data:`_CHECKS`. It may find too late that its condition
holds, when events were removed or are still moving, but never too early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select, text, update

from app.events.tables import events
from app.issues.fixed_in import Resolution, is_next, is_of_same_package
from app.issues.ignore_until import IgnoreUntil, Until, read_stored, span_of, words_of
from app.issues.ignoring import NOT_IGNORED
from app.issues.moving import moving_issues
from app.issues.tables import ENDS_BY_ITSELF, IssueStatus, issue_hours, issues, transitions
from app.stats.tables import VERSION_LENGTH, releases
from app.stats.windows import hour_number
from app.store import Store
from app.store.paging import hidden

# Issues that are read at once, and whose ignoring is ended in one transaction.
BATCH_SIZE = 500
# The newest events of an issue in which different users are counted.
MAX_READ = 10_000
# An hour is worse if it has more events than this, and more than so many times the busiest hour.
WORSE_FROM, WORSE_TIMES = 10, 3
WORSE_DAYS = timedelta(days=7)
HOUR = timedelta(hours=1)

_COLUMNS, _EVENTS, _HOURS = issues.c, events.c, issue_hours.c
# The status is hidden from the planner, which would read all ignored issues by its index.
_CONDITIONAL = (
    select(
        _COLUMNS.id,
        _COLUMNS.project_id,
        _COLUMNS.is_other,
        _COLUMNS.times_seen,
        _COLUMNS.users,
        _COLUMNS.last_received_at,
        _COLUMNS.last_release,
        _COLUMNS.ignore_until,
        _COLUMNS.ignored_from,
        _COLUMNS.ignored_events,
        _COLUMNS.ignored_users,
        _COLUMNS.ignored_release,
    )
    .where(text(ENDS_BY_ITSELF), hidden(_COLUMNS.status) == IssueStatus.IGNORED)
    .order_by(_COLUMNS.id)
)


class Ended(NamedTuple):
    """Why the ignoring of an issue ends.

    :param note: in words, for the history.
    :param release: the release that ended it.
    """

    note: str
    release: str | None = None


class _Case(NamedTuple):
    """An ignored issue with its condition."""

    conn: Connection
    issue: Row[Any]
    until: IgnoreUntil
    now: datetime

    @property
    def more_events(self) -> int:
        """How many events the issue has had since it was ignored: these are its newest ones."""
        return int(self.issue.times_seen - self.issue.ignored_events)


def end_ignoring(store: Store, now: datetime) -> int:
    """Open the ignored issues whose condition holds, and return how many."""
    ended = after = 0
    while True:
        with store.read() as conn:
            page = conn.execute(_CONDITIONAL.where(_COLUMNS.id > after).limit(BATCH_SIZE)).all()
            found = [issue.id for issue, _ in _ended(conn, page, now)]
        if found:
            with store.write() as conn:
                # A person may have decided anew, or merged the issue, since it was read.
                again = conn.execute(_CONDITIONAL.where(_COLUMNS.id.in_(found)))
                ended += _open(conn, list(_ended(conn, again.all(), now)), now)
        if len(page) < BATCH_SIZE:
            return ended
        after = page[-1].id


def _ended(
    conn: Connection, rows: Sequence[Any], now: datetime
) -> Iterator[tuple[Row[Any], Ended]]:
    # While events move, counts and events do not match.
    moving = set(moving_issues(conn, [row.id for row in rows])) if rows else set()
    for row in rows:
        until = read_stored(row.ignore_until)
        if until is None or row.id in moving:
            continue
        if ended := _CHECKS[until.kind](_Case(conn, row, until, now)):
            yield row, ended


def _open(conn: Connection, ended: list[tuple[Row[Any], Ended]], now: datetime) -> int:
    if not ended:
        return 0
    ids = [issue.id for issue, _ in ended]
    values = {"status": IssueStatus.UNRESOLVED, **NOT_IGNORED}
    conn.execute(update(issues).where(_COLUMNS.id.in_(ids)).values(**values))
    rows = [_history_row(conn, issue, why, now) for issue, why in ended]
    conn.execute(transitions.insert(), rows)
    return len(rows)


def _history_row(conn: Connection, issue: Row[Any], why: Ended, now: datetime) -> dict[str, Any]:
    # Alerts take level, environment and release from the issue's newest event.
    newest = select(_EVENTS.event_id, _EVENTS.release).where(_EVENTS.issue_id == issue.id)
    event = conn.execute(newest.order_by(_EVENTS.id.desc()).limit(1)).first()
    return {
        "issue_id": issue.id,
        "at": now,
        "kind": "unignored",
        "note": why.note,
        "event_id": event and event.event_id,
        "release": why.release or (event and event.release),
        "alerts_due": None if issue.is_other else True,
    }


def _time_is_over(case: _Case) -> Ended | None:
    if case.until.at is None or case.now < case.until.at:
        return None
    return Ended(f"it was ignored {words_of(case.until, case.now)}")


def _has_more_events(case: _Case) -> Ended | None:
    wanted = case.until.events or 0
    if case.more_events < wanted:
        return None
    if case.until.window_minutes is None:
        return Ended(f"{_count(case.more_events, 'more event')} since it was ignored")
    met = _count_events(case, _begin(case), at_most=wanted)
    return Ended(f"{_count(met, 'event')} {_within(case)}") if met >= wanted else None


def _has_more_users(case: _Case) -> Ended | None:
    wanted = case.until.users or 0
    if case.until.window_minutes is None:
        more = case.issue.users - case.issue.ignored_users
        is_over = more >= wanted
        return Ended(f"{_count(more, 'more user')} since it was ignored") if is_over else None
    if case.more_events < wanted:
        return None
    newest = _newest_events(case, min(case.more_events, MAX_READ))
    columns = newest.c
    query = select(func.count(columns.user_hash.distinct())).where(columns.user_hash != "")
    met = int(case.conn.scalar(query.where(columns.stored_at > _begin(case))) or 0)
    return Ended(f"{_count(met, 'user')} {_within(case)}") if met >= wanted else None


def _is_worse(case: _Case) -> Ended | None:
    received = case.issue.last_received_at
    if case.more_events < 1 or received is None or received <= case.now - HOUR:
        return None
    hours, clock_hour = _hours_of(case), hour_number(case.now)
    this, before = hours.get(clock_hour, 0), hours.get(clock_hour - 1, 0)
    busiest = max((count for hour, count in hours.items() if hour < clock_hour - 1), default=0)
    # The events of the last hour are in the clock's last two hours. Usually they are too few.
    if this + before <= _limit(busiest):
        return None
    last = _count_events(case, case.now - HOUR, at_most=this + before)
    # The rest of the clock's hour before is older than the last hour.
    busiest = max(busiest, before - max(0, last - this), _events_when_ignored(case, hours))
    if last <= _limit(busiest):
        return None
    return Ended(
        f"{_count(last, 'event')} in the last hour, above {_limit(busiest):,}:"
        f" the busiest hour of the seven days before had {busiest:,}"
    )


def _limit(busiest: int) -> int:
    return max(WORSE_FROM, WORSE_TIMES * busiest)


def _hours_of(case: _Case) -> dict[int, int]:
    """Return the events that were received in each hour of the clock, from seven days ago on."""
    first = hour_number(case.now - HOUR - WORSE_DAYS)
    query = select(_HOURS.hour, _HOURS.received).where(_HOURS.issue_id == case.issue.id)
    return {hour: count for hour, count in case.conn.execute(query.where(_HOURS.hour >= first))}


def _events_when_ignored(case: _Case, hours: dict[int, int]) -> int:
    """Return the events of the hour before the issue was ignored, while the last hour has some.

    The person saw them: they are not worse than before.
    """
    if case.issue.ignored_from <= case.now - HOUR:
        return 0
    since = case.issue.ignored_from - HOUR
    at_most = sum(count for hour, count in hours.items() if hour >= hour_number(since))
    return max(0, _count_events(case, since, at_most) - case.more_events)


def _next_release_is_there(case: _Case) -> Ended | None:
    after = case.issue.ignored_release or 0
    project, of = case.issue.project_id, releases.c
    query = select(of.version).where(of.project_id == project, of.id > after).order_by(of.id)
    fix = Resolution(project, after, None)
    for version in case.conn.scalars(query).all():
        is_same = is_of_same_package(version, case.issue.last_release)
        if is_same and is_next(case.conn, fix, version):
            return Ended("the next release is there", version[:VERSION_LENGTH])
    return None


_CHECKS: dict[Until, Callable[[_Case], Ended | None]] = {
    Until.AT: _time_is_over,
    Until.EVENTS: _has_more_events,
    Until.USERS: _has_more_users,
    Until.WORSE: _is_worse,
    Until.NEXT_RELEASE: _next_release_is_there,
}


def _begin(case: _Case) -> datetime:
    return case.now - timedelta(minutes=case.until.window_minutes or 0)


def _within(case: _Case) -> str:
    return f"within {span_of(case.until.window_minutes or 0)}"


def _newest_events(case: _Case, at_most: int) -> Any:
    """Return a subquery of an issue's newest events, which an index finds."""
    query = select(_EVENTS.id, _EVENTS.stored_at, _EVENTS.user_hash)
    query = query.where(_EVENTS.issue_id == case.issue.id).order_by(_EVENTS.id.desc())
    return query.limit(at_most).subquery()


def _count_events(case: _Case, since: datetime, at_most: int) -> int:
    newest = _newest_events(case, at_most)
    query = select(func.count()).select_from(newest).where(newest.c.stored_at > since)
    return int(case.conn.scalar(query) or 0)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
