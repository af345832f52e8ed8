"""Retention: what is old, too many, too large or deleted by a person goes, in small bites.

A project may have days of its own, more or fewer than RETENTION_DAYS. Kept whatever the limits say:
the first and the last event of every issue, and every envelope that is not settled. A store that is
full of undelivered envelopes does not forget them. Of the ledger goes what is older than
RETENTION_DAYS, also where its envelope stays, and so do single AI calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
)

from app.db import Store, utc_now
from app.delivery.tables import attempts, issue_deliveries
from app.events import ageing, session_ageing, user_ageing
from app.events.affected import ISSUE, MAX_USERS, Subject, affected_days, day_number, of_subject
from app.events.ai_calls import ai_calls
from app.events.items import forget_before
from app.events.tables import envelopes, events
from app.intake.pressure import relieve
from app.intake.removal import SETTLED, delete_rows, remove
from app.issues.feedback import feedback
from app.issues.tables import DELETED, STATUSES, issue_hours, issues
from app.projects import projects
from config import Config

# Some 20 ms of the store's only writer: a capture that comes meanwhile hardly notices.
BITE = 200
# Rows of the ledger are small, and nothing depends on them.
LEDGER_BITE = 1000
# The cap looks at the hour that it is.
SENT_HOURS_KEPT = timedelta(days=2)
# Sparklines show a day; alerts hold an hour against the same one of each of seven days before.
HOURS_KEPT = timedelta(days=8)
# Counts of items and what clients lost: a row each a day; a quarter shows what a release changed.
COUNTS_KEPT = timedelta(days=90)
# How long requests took: by the minute for what is looked into, then by the hour.
MINUTES_KEPT = timedelta(days=2)
# So do counts of sessions and of their users.
TIMINGS_KEPT = timedelta(days=90)
# As long may a client still say how a session went; Sentry takes updates for as many days.
SESSIONS_OPEN = timedelta(days=5)
# Whom issues and releases met, and on which days.
USERS_KEPT = timedelta(days=90)

_DELETED = select(issues.c.id).where(issues.c.status == DELETED)

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Limits:
    """How much is kept; 0 means no limit."""

    days: int
    events: int
    bytes: int

    @classmethod
    def of(cls, config: Config) -> Limits:
        """Return the limits of a configuration."""
        return cls(config.RETENTION_DAYS, config.RETENTION_EVENTS, config.MAX_STORE_BYTES)


def prune(store: Store, limits: Limits, progress: Progress = lambda count: None) -> int:
    """Remove what is beyond the limits and return how many envelopes went.

    The ledger's old rows go with them and are not counted.

    :param progress: called after every bite with the number that went.
    """
    with store.write() as conn:
        conn.execute(delete(issue_hours).where(issue_hours.c.hour < utc_now() - HOURS_KEPT))
        forget_before(conn, (utc_now() - COUNTS_KEPT).date())
    ageing.roll_up(store, (utc_now() - MINUTES_KEPT).date())
    ageing.forget(store, (utc_now() - TIMINGS_KEPT).date())
    session_ageing.settle(store, (utc_now() - SESSIONS_OPEN).date())
    session_ageing.forget(store, (utc_now() - TIMINGS_KEPT).date())
    _users(store)
    _ledger(store, limits.days)
    return (
        _by_age(store, limits.days, progress)
        + _by_count(store, limits.events, progress)
        + relieve(store, limits.bytes, progress)
    )


def bury(store: Store, at_most: int | None = None) -> int:
    """Remove what is left of deleted issues and return how many bites that took.

    An envelope that is still to be delivered stays, and is, although its event is gone.

    :param at_most: bites; what is left then is for the next time.
    """
    bites = 0
    while (at_most is None or bites < at_most) and _bury_bite(store):
        bites += 1
    return bites


def excess(store: Store, limits: Limits) -> int:
    """Return about how many envelopes are beyond the limits, for a progress bar."""
    with store.read() as conn:
        old = 0
        for query in _too_old(conn, limits.days):
            candidates = select(func.count()).select_from(query.subquery())
            old += int(conn.execute(candidates).scalar_one())
        many = _count(conn) - limits.events if limits.events else 0
    return max(old, many, 0)


def _users(store: Store) -> None:
    """Remove who was not met for long, and who is beyond what is counted."""
    now = utc_now()
    user_ageing.forget_users(store, day_number(now - USERS_KEPT))
    many = issues.c.status.in_(STATUSES), issues.c.users >= MAX_USERS
    with store.read() as conn:
        full = list(conn.scalars(select(issues.c.id).where(*many)))
    user_ageing.forget_beyond(store, full, day_number(now))


def _ledger(store: Store, days: int) -> None:
    """Remove old attempts and AI calls, and counts of hours that no cap looks at any more."""
    now = utc_now()
    past = now - SENT_HOURS_KEPT
    ageing.remove(store, issue_deliveries, issue_deliveries.c.hour < past, LEDGER_BITE)
    if days:
        old = now - timedelta(days=days)
        ageing.remove(store, attempts, attempts.c.at < old, LEDGER_BITE)
        ageing.remove(store, ai_calls, ai_calls.c.received_at < old, LEDGER_BITE)


def _by_age(store: Store, days: int, progress: Progress) -> int:
    with store.read() as conn:
        queries = _too_old(conn, days)
    return sum(_all(store, query, progress) for query in queries)


def _too_old(conn: Connection, days: int) -> list[Select[Any]]:
    """Return what is beyond its days: of the projects that have their own, and of the others."""
    query = select(projects.c.id, projects.c.retention_days)
    own = conn.execute(query.where(projects.c.retention_days.is_not(None))).all()
    found = [_older_than(row.retention_days, row.id) for row in own if row.retention_days]
    if days:
        with_own = [row.id for row in own]
        found.append(_older_than(days).where(envelopes.c.project_id.not_in(with_own)))
    return found


def _by_count(store: Store, limit: int, progress: Progress) -> int:
    if not limit:
        return 0
    with store.read() as conn:
        beyond = _count(conn) - limit
    return _all(
        store, _prunable().where(events.c.id.is_not(None)), progress, at_most=max(0, beyond)
    )


def _all(store: Store, query: Select[Any], progress: Progress, at_most: int | None = None) -> int:
    gone = 0
    while at_most is None or gone < at_most:
        size = BITE if at_most is None else min(BITE, at_most - gone)
        bite = _bite(store, query.limit(size))
        if not bite:
            break
        gone += bite
        progress(bite)
    return gone


def _bite(store: Store, query: Select[Any]) -> int:
    """Remove the envelopes a query names, with their events, in one transaction."""
    with store.write() as conn:
        ids = list(conn.scalars(query))
        if not ids:
            return 0
        remove(conn, ids)
    return len(ids)


def _bury_bite(store: Store) -> bool:
    """Remove events of one deleted issue, then what was said of them, its users, then itself.

    :return: whether there was any.
    """
    with store.read() as conn:  # Nothing to do is the usual case, and no reason to wait for a turn.
        if conn.execute(_DELETED.limit(1)).first() is None:
            return False
    with store.write() as conn:
        issue_id = conn.execute(_DELETED.limit(1)).scalar()
        if issue_id is None:
            return False
        of_issue = select(events.c.envelope_id).where(events.c.issue_id == issue_id)
        ids = list(conn.scalars(of_issue.order_by(events.c.id).limit(BITE)))
        ids = ids or list(conn.scalars(_envelopes_of_feedback(issue_id).limit(BITE)))
        if ids:
            _remove_of_deleted(conn, ids)
            return True
        subject = Subject(ISSUE, issue_id)
        if user_ageing.forget_some(conn, subject):
            return True
        conn.execute(delete(affected_days).where(*of_subject(affected_days, subject)))
        conn.execute(delete(issues).where(issues.c.id == issue_id))
    return True


def _envelopes_of_feedback(issue_id: int) -> Select[Any]:
    # One that came with an event goes with that, which may be another issue's.
    has_event = exists().where(events.c.envelope_id == feedback.c.envelope_id)
    return select(feedback.c.envelope_id).where(feedback.c.issue_id == issue_id, ~has_event)


def _remove_of_deleted(conn: Connection, envelope_ids: list[int]) -> None:
    for table in (events, feedback):
        conn.execute(delete(table).where(table.c.envelope_id.in_(envelope_ids)))
    delete_rows(conn, envelope_ids)


def _older_than(days: int, project_id: int | None = None) -> Select[Any]:
    old = _prunable().where(envelopes.c.received_at < utc_now() - timedelta(days=days))
    return old if project_id is None else old.where(envelopes.c.project_id == project_id)


def _prunable() -> Select[Any]:
    """Ids of settled envelopes without an event, or whose event may go; oldest first.

    A correlated question for each row, so that a LIMIT ends it early however large the store is.
    """
    other = events.alias()
    same_issue = other.c.issue_id == events.c.issue_id
    is_neither_first_nor_last = and_(
        exists().where(same_issue, other.c.id < events.c.id),
        exists().where(same_issue, other.c.id > events.c.id),
    )
    return (
        select(envelopes.c.id)
        .outerjoin(events, events.c.envelope_id == envelopes.c.id)
        .where(
            envelopes.c.state.in_(SETTLED),
            or_(events.c.id.is_(None), is_neither_first_nor_last),
        )
        .order_by(envelopes.c.id)
    )


def _count(conn: Connection) -> int:
    return int(conn.execute(select(func.count()).select_from(events)).scalar_one())
