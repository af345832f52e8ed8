"""Retention: what is old, too many, too large or deleted by a person goes, in small batches.

    pruning.py         envelopes with their events
    expired_issues.py  issues that nobody saw for long, and what is left of deleted ones

Age always wins: what is beyond RETENTION_DAYS, or beyond the days of its project, goes, the first
and the last event of an issue too. For the other bounds repeats go first. An envelope that is still
to be delivered stays whatever the limits say: a store full of undelivered envelopes does not
forget them. Of the ledger goes what is older than RETENTION_DAYS, also where its envelope stays,
and so do single AI calls.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from app.delivery.action_history import prune_actions
from app.delivery.tables import attempts, issue_deliveries
from app.events.tables import envelopes, events
from app.intake import expired_issues
from app.intake.pressure import relieve
from app.intake.pruning import GIVEN_UP, SETTLED, Progress, candidates, remove
from app.issues.history import bound_history
from app.issues.tables import STATUSES, issue_hours, issues
from app.projects import projects
from app.stats import expiry, session_expiry, user_expiry
from app.stats.row_bounds import bound_rows
from app.stats.tables import ai_calls
from app.stats.users import MAX_USERS, day_number
from app.store import Store, delete_in_batches, utc_now
from config import Config

log = logging.getLogger("app.tracker")

# Rows of the ledger are small, and nothing depends on them.
LEDGER_BATCH_SIZE = 500
# The cap looks at the hour that it is.
SENT_HOURS_KEPT = timedelta(days=2)
# Sparklines show a day; alerts hold an hour against the same one of each of seven days before.
HOURS_KEPT = timedelta(days=8)
# Whom issues and releases met, and on which days.
USERS_KEPT = timedelta(days=90)


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


class PruneFailed(Exception):
    """Some steps of a run failed; the others were done.

    :param gone: how many envelopes went. :param steps: the names of those that failed.
    """

    def __init__(self, gone: int, steps: list[str]) -> None:
        super().__init__(f"these steps of pruning failed: {', '.join(steps)}")
        self.gone, self.steps = gone, steps


class Steps:
    """Runs one step after the other; one that fails is logged and stops none of the others."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def run(self, name: str, step: Callable[[], int | None]) -> int:
        """Run a step and return how many envelopes it removed."""
        try:
            return step() or 0
        except Exception:
            # Whatever it is: age must win over the rest also where one table is damaged.
            log.exception("pruning: %s failed", name)
            self.failed.append(name)
            return 0


def prune(store: Store, limits: Limits, progress: Progress = lambda count: None) -> int:
    """Remove what is beyond the limits and return how many envelopes went.

    The ledger's old rows go with them and are not counted.

    :param progress: called after every batch with the number that went.
    :raise PruneFailed: some steps failed; all others were done.
    """
    now, steps = utc_now(), Steps()
    for name, step in _small_steps(store, limits, now):
        steps.run(name, step)
    ends: list[tuple[int, datetime]] = []
    steps.run("projects", lambda: ends.extend(_ends(store, limits.days, now)))
    gone = 0
    for project_id, moment in ends:
        old = functools.partial(_by_age, store, project_id, moment, progress)
        gone += steps.run(f"age of project {project_id}", old)
    gone += steps.run("count", lambda: _by_count(store, limits.events, progress))
    gone += steps.run("bytes", lambda: relieve(store, limits.bytes, progress))
    for project_id, moment in ends:
        expire = functools.partial(expired_issues.expire, store, project_id, moment, now)
        steps.run(f"issues of project {project_id}", expire)
    steps.run("deleted issues", lambda: expired_issues.purge_deleted(store))
    if steps.failed:
        raise PruneFailed(gone, steps.failed)
    return gone


def _small_steps(
    store: Store, limits: Limits, now: datetime
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield what grows old besides envelopes, by name."""
    hours = issue_hours.c.hour < now - HOURS_KEPT
    yield "hours of issues", lambda: delete_in_batches(store, issue_hours, hours)
    yield "series to hours", lambda: expiry.roll_up(store, now)
    yield "old series", lambda: expiry.expire(store, now)
    yield "sessions to hours", lambda: session_expiry.settle(store, now)
    yield "old sessions", lambda: session_expiry.expire(store, now)
    yield "users of sessions", lambda: session_expiry.bound_users(store)
    yield "rows of series", lambda: bound_rows(store)
    yield "history", lambda: bound_history(store)
    yield "users", lambda: _users(store)
    yield "ledger", lambda: _ledger(store, limits.days)


def purge_deleted(store: Store, at_most: int | None = None) -> int:
    """Remove what is left of deleted issues, see :func:`~.expired_issues.purge_deleted`."""
    return expired_issues.purge_deleted(store, at_most)


def excess(store: Store, limits: Limits) -> int:
    """Return about how many envelopes are beyond the limits, for a progress bar."""
    old = 0
    ends = list(_ends(store, limits.days, utc_now()))
    with store.read() as conn:
        for project_id, moment in ends:
            is_old = (
                envelopes.c.project_id == project_id,
                envelopes.c.received_at < moment,
                envelopes.c.state.in_((*SETTLED, *GIVEN_UP)),
            )
            count = select(func.count()).select_from(envelopes).where(*is_old)
            old += int(conn.execute(count).scalar_one())
        many = _count(conn) - limits.events if limits.events else 0
    return max(old, many, 0)


def _users(store: Store) -> None:
    """Remove who was not met for long, and who is beyond what is counted."""
    now = utc_now()
    user_expiry.forget_users(store, day_number(now - USERS_KEPT))
    many = issues.c.status.in_(STATUSES), issues.c.users >= MAX_USERS
    with store.read() as conn:
        full = list(conn.scalars(select(issues.c.id).where(*many)))
    user_expiry.forget_beyond(store, full, day_number(now))


def _ledger(store: Store, days: int) -> None:
    """Remove old attempts and AI calls, and counts of hours that no cap looks at any more."""
    now = utc_now()
    past = now - SENT_HOURS_KEPT
    prune_actions(store, now - timedelta(days=days) if days else None)
    delete_in_batches(store, issue_deliveries, issue_deliveries.c.hour < past, LEDGER_BATCH_SIZE)
    if days:
        old = now - timedelta(days=days)
        delete_in_batches(store, attempts, attempts.c.at < old, LEDGER_BATCH_SIZE)
        delete_in_batches(store, ai_calls, ai_calls.c.received_at < old, LEDGER_BATCH_SIZE)


def _ends(store: Store, days: int, now: datetime) -> Iterator[tuple[int, datetime]]:
    """Yield each project whose payloads age, and the moment before which they go."""
    query = select(projects.c.id, projects.c.retention_days).order_by(projects.c.id)
    with store.read() as conn:
        found = conn.execute(query).all()
    for row in found:
        kept = days if row.retention_days is None else row.retention_days
        if kept:
            yield row.id, now - timedelta(days=kept)


def _by_age(store: Store, project_id: int, before: datetime, progress: Progress) -> int:
    states = (*SETTLED, *GIVEN_UP)
    old = candidates(store, project_id=project_id, before=before, states=states)
    return remove(store, old, progress)


def _by_count(store: Store, limit: int, progress: Progress) -> int:
    """Bring the number of events down, repeats first."""
    gone = 0
    for repeats_only in (True, False):
        with store.read() as conn:
            beyond = _count(conn) - limit if limit else 0
        if beyond > 0:
            chosen = candidates(store, repeats_only=repeats_only, events_only=True)
            gone += remove(store, chosen, progress, at_most=beyond)
    return gone


def _count(conn: Connection) -> int:
    return int(conn.execute(select(func.count()).select_from(events)).scalar_one())
