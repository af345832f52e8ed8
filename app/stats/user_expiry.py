"""Expiry of affected users: remove users that an issue or a release has not affected for long.

If a subject has more users than are counted, only the users of today are needed, for today's count.
It works in batches, so that other writers do not wait long.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, and_, delete, select

from app.stats.tables import affected_days, affected_users, releases
from app.stats.users import EVER, ISSUE, MAX_USERS, RELEASE, Subject, of_subject
from app.stats.windows import HOURS_A_DAY
from app.store import Store, delete_in_batches

# Rows that a transaction removes, or a few more. It holds the store's only writer for about 20 ms.
BATCH_SIZE = 1000

_DAYS, _USERS = affected_days.c, affected_users.c
_SUBJECTS_IN_A_BATCH = 50


def forget_users(store: Store, before: int) -> None:
    """Remove users that a subject has not affected since a day.

    Such a user counts as new when the subject affects the user again.

    :param before: the day, counted since 1970.
    """
    unknown = _DAYS.of_id.not_in(select(releases.c.id))
    delete_in_batches(store, affected_days, and_(_DAYS.day == EVER, _DAYS.kind == RELEASE, unknown))
    old = select(_DAYS.kind, _DAYS.of_id).where(_DAYS.day > EVER, _DAYS.day < before)
    old = old.order_by(_DAYS.day).limit(_SUBJECTS_IN_A_BATCH)
    while True:
        with store.write() as conn:
            subjects = {Subject(*row) for row in conn.execute(old)}
            _forget_batch(conn, sorted(subjects), before)
        if not subjects:
            return


def _forget_batch(conn: Connection, subjects: Iterable[Subject], before: int) -> None:
    gone = 0
    for subject in subjects:
        users = forget_some(conn, subject, before)
        gone += users
        if users < BATCH_SIZE:
            # Remove the days last. A process that is stopped before then finds the subject again.
            past = _DAYS.day > EVER, _DAYS.day < before
            conn.execute(delete(affected_days).where(*of_subject(affected_days, subject), *past))
        if gone >= BATCH_SIZE:
            return


def forget_beyond(store: Store, issue_ids: Iterable[int], today: int) -> None:
    """For subjects with more users than are counted, remove users that were not affected today.

    :param issue_ids: the issues with so many users. Releases are looked up here.
    :param today: the day, counted since 1970.
    """
    is_ever = and_(_DAYS.kind == RELEASE, _DAYS.of_id == releases.c.id, _DAYS.day == EVER)
    full = select(releases.c.id).join(affected_days, is_ever).where(_DAYS.users >= MAX_USERS)
    with store.read() as conn:
        found = [Subject(RELEASE, number) for number in conn.scalars(full)]
    forget_all(store, found + [Subject(ISSUE, number) for number in issue_ids], today)


def forget_all(store: Store, subjects: Iterable[Subject], today: int) -> None:
    """Remove the users of subjects that were not affected today."""
    for subject in subjects:
        gone = BATCH_SIZE
        while gone >= BATCH_SIZE:
            with store.write() as conn:
                gone = forget_some(conn, subject, today)


def forget_some(conn: Connection, subject: Subject, before: int | None = None) -> int:
    """Remove at most BATCH_SIZE users of a subject. Return how many were removed.

    :param before: remove only users that were not affected since this day.
    """
    of_this = of_subject(affected_users, subject)
    batch = select(_USERS.user_hash).where(*of_this).limit(BATCH_SIZE)
    if before is not None:
        batch = batch.where(_USERS.last_hour < before * HOURS_A_DAY)
    return conn.execute(
        delete(affected_users).where(*of_this, _USERS.user_hash.in_(batch))
    ).rowcount
