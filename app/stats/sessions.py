"""Sessions: their outcomes and users, counted by the minute.

A series is a release in one environment on one day (:mod:`.series`). A session is counted in the
minute, by this service's clock, in which its first update was received. Later updates move it from
one column to another in the same minute. So each session is counted once. The order of its updates,
their number and the process that stores them do not matter. A share of crashed sessions therefore
compares the same sessions.

    known_sessions  a row for each session of the last days, with its outcome so far
    session_counts  sessions by series and minute
    session_users   users by series, with the number of their sessions and crashed sessions

A session is identified by its id, release and environment, which must not change. If updates name
several users, the user with the smallest hash counts. Neither depends on the order of updates.
Groups of sessions, and sessions without an id, are added as they come: two equal ones cannot be
distinguished from one that came twice.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    bindparam,
    or_,
    select,
    text,
    update,
)

from app.protocol.session import CRASHED, Sessions
from app.stats.additive import (
    ENVIRONMENT,
    OTHER,
    RELEASE,
    AdditiveSeries,
    Counts,
    SeriesKey,
    day_of,
)
from app.stats.counting import SeriesIds
from app.stats.tables import known_sessions, session_users
from app.store import DriverStatement, added, larger, smaller, upsert

# For so long a client may send updates of a session. Sentry accepts them for the same time.
SESSIONS_OPEN = timedelta(days=5)
# The most users of a series. Beyond it, new users are not counted, and sessions of counted users
# still are. The count then means "at least". One batch may exceed the limit.
MAX_USERS = 100_000
# The most users of a project on one day, over all its series. A process checks it after each
# LOOKS_AFTER new users.
MAX_USERS_A_DAY = 500_000
LOOKS_AFTER = 1000
# The hash of a session without a user. It is larger than every other hash, because the smallest
# hash wins.
NOBODY = 2**63 - 1


COUNTS = Counts(
    "session_counts",
    # `sessions` counts all of them. Healthy sessions are the rest without the other columns.
    dict.fromkeys(("sessions", "errored", "abnormal", "crashed"), BigInteger),
)
SESSIONS = AdditiveSeries(
    "session_series",
    keys=(RELEASE._replace(beyond=OTHER), ENVIRONMENT),
    counts=(COUNTS,),
    # About twenty releases in five environments use half of this limit.
    max_series=200,
    minutes_kept=SESSIONS_OPEN,
    further=(session_users,),
    # The number of rows of users that a series has.
    columns=(Column("users", Integer, nullable=False, server_default=text("0")),),
)
session_series, session_counts = SESSIONS.table, COUNTS.table


class SessionUpdates(NamedTuple):
    """Session data of an envelope, with its time received in minutes since 1970."""

    project_id: int
    minute: int
    sessions: Sessions

    @property
    def series(self) -> SeriesKey:
        """The series of the sessions. A session that is known already stays in its first series."""
        of = self.sessions
        return self.project_id, day_of(self.minute), of.release, of.environment


class SessionCounter:
    """Counts sessions and their users into the rows of one store."""

    def __init__(self) -> None:
        self._series = SeriesIds(SESSIONS)
        self._full: set[int] = set()
        # How many users were added to a project's day since its last check.
        self._added: Counter[tuple[int, date]] = Counter()

    def add(self, conn: Connection, told: Sequence[SessionUpdates]) -> None:
        """Count session updates. The caller commits."""
        if not told:
            return
        ids = self._series.find(conn, {one.series for one in told})
        changes = _Changes()
        for session in told:
            if session.sessions.sid is None:
                changes.add(
                    ids[session.series],
                    session.minute,
                    _state_of(session),
                    session.sessions.quantity,
                )
        _tell(conn, _rows(told, ids), changes)
        COUNTS.add(conn, {key: tuple(row) for key, row in changes.counts.items() if any(row)})
        self._add_users(conn, changes.users)

    def _add_users(self, conn: Connection, users: dict[_UserKey, list[int]]) -> None:
        changed = {key: counts for key, counts in sorted(users.items()) if any(counts)}
        known_only = {key: changed[key] for key in changed if key[0] in self._full}
        if known_only:
            _USERS_CHANGED.run(conn, [_parameters(*user) for user in known_only.items()])
        rest = [
            {"series_id": key[0], "user_hash": key[1], "sessions": counts[0], "crashed": counts[1]}
            for key, counts in changed.items()
            if key not in known_only
        ]
        rows = _USER_ADDITION.fetch_each(conn, rest)
        # A user whose counts equal the added ones is new.
        self._note_new(
            conn, Counter(series for series, user, *now in rows if now == changed[series, user])
        )

    def _note_new(self, conn: Connection, new: Counter[int]) -> None:
        for series_id, more in new.items():
            row = conn.execute(_USERS_ADDED, {"of": series_id, "more": more}).first()
            if row is None:
                continue
            # Compare the number before this transaction, because it may be rolled back.
            if row.users - more >= MAX_USERS:
                self._full.add(series_id)
            self._look(conn, row.project_id, row.day, more)

    def _look(self, conn: Connection, project_id: int, day: date, more: int) -> None:
        """Check at intervals whether a project has reached its limit of users on a day."""
        of = session_series.c
        self._added[project_id, day] += more
        if self._added[project_id, day] < LOOKS_AFTER:
            return
        self._added = Counter({key: count for key, count in self._added.items() if key[1] == day})
        self._added[project_id, day] = 0
        query = select(of.id, of.users).where(of.project_id == project_id, of.day == day)
        users = {number: count for number, count in conn.execute(query)}
        if sum(users.values()) >= MAX_USERS_A_DAY:
            self._full.update(users)


# A series and a minute; a series and a user.
_CountKey = tuple[int, int]
_UserKey = tuple[int, int]


class _State(NamedTuple):
    outcome: int
    user_hash: int


class _Changes:
    """Amounts to add to rows, or to subtract from them."""

    def __init__(self) -> None:
        # The number of sessions, then the numbers by outcome. The first outcome has no column: see
        # session_counts.
        self.counts: dict[_CountKey, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        # The numbers of sessions and of crashed sessions.
        self.users: dict[_UserKey, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, series_id: int, minute: int, state: _State, quantity: int) -> None:
        row = self.counts[series_id, minute]
        row[0] += quantity
        if state.outcome:
            row[state.outcome] += quantity
        if state.user_hash != NOBODY:
            user = self.users[series_id, state.user_hash]
            user[0] += quantity
            user[1] += quantity if state.outcome == CRASHED else 0


def _state_of(one: SessionUpdates) -> _State:
    did = one.sessions.did
    return _State(
        one.sessions.outcome, NOBODY if did is None else user_hash_of(one.project_id, did)
    )


def user_hash_of(project_id: int, did: str) -> int:
    """Return the hash under which the user of a session is stored."""
    return _hash(project_id, did)


def _hash(*parts: object) -> int:
    said = "\0".join(map(str, parts)).encode("utf-8", "replace")
    return int.from_bytes(hashlib.sha256(said).digest()[:8]) % NOBODY


def _rows(told: Iterable[SessionUpdates], ids: dict[SeriesKey, int]) -> list[dict[str, Any]]:
    """Return a row for each session with an id: its first minute, worst outcome and one user."""
    rows: dict[int, dict[str, Any]] = {}
    for session in told:
        sid, _, release, environment, *_ = session.sessions
        if sid is None:
            continue
        key, state = _hash(session.project_id, release, environment, sid), _state_of(session)
        row = rows.setdefault(key, _new_row(key, ids[session.series], session.minute, state))
        row["outcome"] = max(row["outcome"], state.outcome)
        row["user_hash"] = min(row["user_hash"], state.user_hash)
    return [rows[key] for key in sorted(rows)]


def _new_row(key: int, series_id: int, minute: int, state: _State) -> dict[str, Any]:
    return {
        "session_hash": key,
        "series_id": series_id,
        "minute": minute,
        "outcome": state.outcome,
        "user_hash": state.user_hash,
    }


def _tell(conn: Connection, rows: list[dict[str, Any]], changes: _Changes) -> None:
    """Write the state of known sessions, and add to ``changes`` what differs from before."""
    # The statement returns only rows that are new or changed.
    for row in _TELLING.fetch_each(conn, rows):
        series_id, minute, outcome, user_hash, outcome_before, user_before = row
        changes.add(series_id, minute, _State(outcome, user_hash), 1)
        if outcome_before is not None:
            changes.add(series_id, minute, _State(outcome_before, user_before), -1)


def _telling(dialect: str) -> Any:
    statement = upsert(
        dialect,
        known_sessions,
        where=_is_changed,
        outcome=larger,
        user_hash=smaller,
        outcome_before=lambda old, new: old.table.c.outcome,
        user_before=lambda old, new: old.table.c.user_hash,
    )
    names = "series_id", "minute", "outcome", "user_hash", "outcome_before", "user_before"
    return statement.returning(*(known_sessions.c[name] for name in names))


def _is_changed(old: Any, new: Any) -> Any:
    return or_(new.outcome > old.outcome, new.user_hash < old.user_hash)


def _user_addition(dialect: str) -> Any:
    statement = upsert(dialect, session_users, sessions=added, crashed=added)
    return statement.returning(*session_users.c)


def _parameters(key: _UserKey, counts: list[int]) -> dict[str, int]:
    return {"of": key[0], "who": key[1], "more": counts[0], "more_crashed": counts[1]}


_TELLING, _USER_ADDITION = DriverStatement(_telling), DriverStatement(_user_addition)
_USERS_CHANGED = DriverStatement(
    lambda dialect: (
        update(session_users)
        .where(session_users.c.series_id == bindparam("of"))
        .where(session_users.c.user_hash == bindparam("who"))
        .values(
            sessions=session_users.c.sessions + bindparam("more"),
            crashed=session_users.c.crashed + bindparam("more_crashed"),
        )
    )
)
_USERS_ADDED = (
    update(session_series)
    .where(session_series.c.id == bindparam("of"))
    .values(users=session_series.c.users + bindparam("more"))
    .returning(session_series.c.users, session_series.c.project_id, session_series.c.day)
)
