"""What is counted grows old; in bites, as nobody may wait long.

Timings: minutes become hours, and go in the end. What is added to an hour and taken from its
minutes is one transaction, so a count is never seen twice or not at all.

Users: whoever did not meet an issue or a release for long is forgotten there. Of one with more
users than are counted, only those of today are needed to tell how many today has.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, select, tuple_, update

from app.db import Store
from app.events.affected import (
    EVER,
    ISSUE,
    MAX_USERS,
    RELEASE,
    Subject,
    affected_days,
    affected_users,
    of_subject,
)
from app.events.releases import releases
from app.events.timings import add_on_conflict, timing_series, timings

# Rows that a transaction removes, or some more: some 20 ms of the store's only writer.
BITE = 2000

_OF = bindparam("of", type_=timings.c.series_id.type)
_HOUR = bindparam("hour", type_=timings.c.minute.type)
# An hour's rows but for those of its first minute, which the others are added to.
_REST = timings.c.series_id == _OF, timings.c.minute > _HOUR, timings.c.minute < _HOUR + 60
_NEXT = (
    select(timings.c.minute)
    .where(timings.c.series_id == _OF, timings.c.minute % 60 != 0)
    .order_by(timings.c.minute)
    .limit(1)
)
_REMOVE = delete(timings).where(*_REST)


def roll_up(store: Store, before: date) -> None:
    """Make hours of the minutes of the days before one."""
    old = _of_days(before, rolled=False).limit(BITE)
    while True:
        with store.write() as conn:
            ids = list(conn.scalars(old))
            _roll_up_bite(conn, ids)
        if not ids:
            return


def forget(store: Store, before: date) -> None:
    """Remove the days before one, which are rolled up."""
    key = timings.c.series_id, timings.c.minute, timings.c.bucket
    while True:
        with store.write() as conn:
            ids = list(conn.scalars(_of_days(before, rolled=True).limit(BITE // 10)))
            if not ids:
                return
            bite = select(*key).where(timings.c.series_id.in_(ids)).limit(BITE)
            if conn.execute(delete(timings).where(tuple_(*key).in_(bite))).rowcount < BITE:
                conn.execute(delete(timing_series).where(timing_series.c.id.in_(ids)))


def _of_days(before: date, *, rolled: bool) -> Any:
    query = select(timing_series.c.id).where(timing_series.c.rolled.is_(rolled))
    return query.where(timing_series.c.day < before).order_by(timing_series.c.day)


def _roll_up_bite(conn: Connection, ids: list[int]) -> None:
    """Roll up one series after the other until there are rows enough; the last may be in part."""
    whole, rows = [], 0
    for series_id in ids:
        while rows < BITE and (minute := conn.scalar(_NEXT, {"of": series_id})) is not None:
            rows += _roll_up_hour(conn, series_id, minute - minute % 60)
        if rows >= BITE:
            break
        whole.append(series_id)
        rows += 1
    if whole:
        done = timing_series.c.id.in_(whole)
        conn.execute(update(timing_series).where(done).values(rolled=True))


def _roll_up_hour(conn: Connection, series_id: int, hour: int) -> int:
    which = {"of": series_id, "hour": hour}
    conn.execute(_addition(conn.dialect.name), which)
    return conn.execute(_REMOVE, which).rowcount


# Built once: putting this statement together takes longer than executing it.
@functools.cache
def _addition(dialect: str) -> Any:
    sums = func.sum(timings.c.requests), func.sum(timings.c.failures)
    hours = select(_OF, _HOUR, timings.c.bucket, *sums).where(*_REST).group_by(timings.c.bucket)
    return add_on_conflict(
        dialect, lambda statement: statement.from_select(timings.c.keys(), hours)
    )


# ---- users --------------------------------------------------------------------------------------

_DAYS, _USERS = affected_days.c, affected_users.c
_SUBJECTS_OF_A_BITE = 50


def forget_users(store: Store, before: int) -> None:
    """Remove whom subjects met before a day, counted since 1970.

    A user who did not meet a subject since counts again on coming back.
    """
    unknown = _DAYS.of_id.not_in(select(releases.c.id))
    with store.write() as conn:
        ever = _DAYS.day == EVER, _DAYS.kind == RELEASE
        conn.execute(delete(affected_days).where(*ever, unknown))
    old = select(_DAYS.kind, _DAYS.of_id).where(_DAYS.day > EVER, _DAYS.day < before)
    old = old.order_by(_DAYS.day).limit(_SUBJECTS_OF_A_BITE)
    while True:
        with store.write() as conn:
            subjects = {Subject(*row) for row in conn.execute(old)}
            _forget_bite(conn, sorted(subjects), before)
        if not subjects:
            return


def _forget_bite(conn: Connection, subjects: Iterable[Subject], before: int) -> None:
    gone = 0
    for subject in subjects:
        users = forget_some(conn, subject, before)
        gone += users
        if users < BITE:
            # Last, so that who is stopped here finds the subject again.
            past = _DAYS.day > EVER, _DAYS.day < before
            conn.execute(delete(affected_days).where(*of_subject(affected_days, subject), *past))
        if gone >= BITE:
            return


def forget_beyond(store: Store, issue_ids: Iterable[int], today: int) -> None:
    """Of subjects with more users than are counted, remove who did not meet them today.

    :param issue_ids: the issues that have so many; releases are found here.
    """
    is_ever = and_(_DAYS.kind == RELEASE, _DAYS.of_id == releases.c.id, _DAYS.day == EVER)
    full = select(releases.c.id).join(affected_days, is_ever).where(_DAYS.users >= MAX_USERS)
    with store.read() as conn:
        found = [Subject(RELEASE, number) for number in conn.scalars(full)]
    for subject in found + [Subject(ISSUE, number) for number in issue_ids]:
        gone = BITE
        while gone >= BITE:
            with store.write() as conn:
                gone = forget_some(conn, subject, today)


def forget_some(conn: Connection, subject: Subject, before: int | None = None) -> int:
    """Remove some users of a subject, at most BITE, and return how many.

    :param before: only those who did not meet it since that day.
    """
    of_this = of_subject(affected_users, subject)
    bite = select(_USERS.user_hash).where(*of_this).limit(BITE)
    if before is not None:
        bite = bite.where(_USERS.last_day < before)
    return conn.execute(delete(affected_users).where(*of_this, _USERS.user_hash.in_(bite))).rowcount
