"""Retention: remove data that is too old, too much, too large or deleted, in small batches.

    pruning.py         envelopes with their events
    expired_issues.py  issues that were not seen for a long time, and rows of deleted issues

Age always decides first. An envelope older than RETENTION_DAYS, or older than its project keeps
data, is removed, even if it is the first or the last event of an issue. For the other limits,
repeats are removed first. An envelope that still waits for delivery stays, whatever the limits are:
a store full of undelivered envelopes does not lose them. Rows of the delivery ledger and single AI
calls are removed when they are older than RETENTION_DAYS, even if their envelope stays.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from app.confirmation import expiry as confirmation_expiry
from app.delivery.action_history import prune_actions
from app.delivery.tables import attempts, issue_deliveries
from app.events.tables import envelopes, events
from app.intake import expired_issues
from app.intake.pressure import relieve
from app.intake.pruning import GIVEN_UP, SETTLED, Progress, candidates, remove
from app.intake.read_logs import remove_read_logs
from app.issues import over_time
from app.issues.history import bound_history
from app.issues.tables import STATUSES, issues
from app.monitors import expiry as monitor_expiry
from app.projects import projects
from app.signals.logs.expiry import expire_counts, expire_lines
from app.stats import environments, expiry, months, session_expiry, user_expiry
from app.stats.row_bounds import bound_rows
from app.stats.tables import ai_calls
from app.stats.users import MAX_USERS, day_number
from app.store import Store, delete_in_batches, utc_now
from config import Config

log = logging.getLogger("app.tracker")

# Rows of the ledger are small, and no other row depends on them.
LEDGER_BATCH_SIZE = 500
# The delivery limit per issue and hour reads only the current hour.
SENT_HOURS_KEPT = timedelta(days=2)
# How long the affected users of issues and releases are kept, with their days.
USERS_KEPT = timedelta(days=90)


@dataclass(frozen=True)
class Limits:
    """How much data is kept; 0 means no limit."""

    days: int
    events: int
    bytes: int
    log_days: int = 0
    log_bytes: int = 0

    @classmethod
    def of(cls, config: Config) -> Limits:
        """Return the limits that a configuration sets."""
        return cls(
            config.RETENTION_DAYS,
            config.RETENTION_EVENTS,
            config.MAX_STORE_BYTES,
            config.LOG_RETENTION_DAYS,
            config.LOG_MAX_BYTES,
        )


class Pruned(NamedTuple):
    """How much a run removed: envelopes, and lines of logs."""

    envelopes: int
    lines: int


class PruneFailed(Exception):
    """Some steps of a run failed. All other steps were done.

    :param gone: what was removed.
    :param steps: the names of the failed steps.
    """

    def __init__(self, gone: Pruned, steps: list[str]) -> None:
        super().__init__(f"these steps of pruning failed: {', '.join(steps)}")
        self.gone, self.steps = gone, steps


class Steps:
    """Run steps one after the other. A step that fails is logged, and the next one runs."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def run(self, name: str, step: Callable[[], int | None]) -> int:
        """Run a step and return how many envelopes or lines it removed."""
        try:
            return step() or 0
        except Exception:
            # Catch every error: old data must be removed even if one table is damaged.
            log.exception("pruning: %s failed", name)
            self.failed.append(name)
            return 0


def prune(store: Store, limits: Limits, progress: Progress = lambda count: None) -> Pruned:
    """Remove what exceeds the limits and return how much it was.

    Old rows of the delivery ledger are removed too, and envelopes whose lines of logs are rows.
    They are not counted.

    :param progress: called after every batch with the number of envelopes it removed.
    :raise PruneFailed: some steps failed. All others were done.
    """
    now, steps = utc_now(), Steps()
    lines = steps.run("logs", lambda: prune_logs(store, limits, now))
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
        runs = functools.partial(monitor_expiry.expire, store, project_id, moment)
        steps.run(f"runs of monitors of project {project_id}", runs)
    steps.run("deleted issues", lambda: expired_issues.purge_deleted(store))
    pruned = Pruned(gone, lines)
    if steps.failed:
        raise PruneFailed(pruned, steps.failed)
    return pruned


def _small_steps(
    store: Store, limits: Limits, now: datetime
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the steps for data other than envelopes, with their names."""
    yield "hours of issues", lambda: over_time.roll_up(store, now)
    yield "hours of environments", lambda: environments.expire(store, now)
    yield "series to hours", lambda: expiry.roll_up(store, now)
    yield "items to months", lambda: months.roll_up_months(store, now)
    yield "old series", lambda: expiry.expire(store, now)
    yield "old counts of logs", lambda: expire_counts(store, limits.log_days, now)
    yield "sessions to hours", lambda: session_expiry.settle(store, now)
    yield "old sessions", lambda: session_expiry.expire(store, now)
    yield "users of sessions", lambda: session_expiry.bound_users(store)
    yield "rows of series", lambda: bound_rows(store)
    yield "history", lambda: bound_history(store)
    yield "users", lambda: _users(store)
    yield "confirmations", lambda: confirmation_expiry.expire(store, now)
    yield "runs of monitors", lambda: monitor_expiry.bound_runs(store)
    yield "ledger", lambda: _ledger(store, limits.days)


def prune_logs(store: Store, limits: Limits, now: datetime) -> int:
    """Remove lines of logs beyond their limits, and envelopes whose lines are rows.

    :return: how many lines were removed.
    """
    remove_read_logs(store)
    return expire_lines(store, limits.log_days, limits.log_bytes, now)


def purge_deleted(store: Store, at_most: int | None = None) -> int:
    """Remove rows of deleted issues, see :func:`~.expired_issues.purge_deleted`."""
    return expired_issues.purge_deleted(store, at_most)


def excess(store: Store, limits: Limits) -> int:
    """Return about how many envelopes exceed the limits, for a progress bar."""
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
    """Remove users that were not seen for a long time, and users beyond the counted maximum."""
    now = utc_now()
    user_expiry.forget_users(store, day_number(now - USERS_KEPT))
    many = issues.c.status.in_(STATUSES), issues.c.users >= MAX_USERS
    with store.read() as conn:
        full = list(conn.scalars(select(issues.c.id).where(*many)))
    user_expiry.forget_beyond(store, full, day_number(now))


def _ledger(store: Store, days: int) -> None:
    """Remove old attempts and AI calls, and hourly counts that no limit reads any more."""
    now = utc_now()
    past = now - SENT_HOURS_KEPT
    prune_actions(store, now - timedelta(days=days) if days else None)
    delete_in_batches(store, issue_deliveries, issue_deliveries.c.hour < past, LEDGER_BATCH_SIZE)
    if days:
        old = now - timedelta(days=days)
        delete_in_batches(store, attempts, attempts.c.at < old, LEDGER_BATCH_SIZE)
        delete_in_batches(store, ai_calls, ai_calls.c.received_at < old, LEDGER_BATCH_SIZE)


def _ends(store: Store, days: int, now: datetime) -> Iterator[tuple[int, datetime]]:
    """Yield each project with a limit of age, and the time before which its data is removed."""
    query = select(projects.c.id, projects.c.retention_days).where(projects.c.purged_at.is_(None))
    with store.read() as conn:
        found = conn.execute(query.order_by(projects.c.id)).all()
    for row in found:
        kept = days if row.retention_days is None else row.retention_days
        if kept:
            yield row.id, now - timedelta(days=kept)


def _by_age(store: Store, project_id: int, before: datetime, progress: Progress) -> int:
    states = (*SETTLED, *GIVEN_UP)
    old = candidates(store, project_id=project_id, before=before, states=states)
    return remove(store, old, progress)


def _by_count(store: Store, limit: int, progress: Progress) -> int:
    """Reduce the number of events to the limit. Repeats are removed first."""
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
