"""Evaluate every rule once.

    ignored   issues whose ignoring ends are open again, which is due for an alert
    issues    changes of issues that are due for an alert, one transaction a batch
    monitors  those that are failing, and those that are ok again
    measures  read outside the writer lock, then written: states and notifications

A rule that was evaluated recently is skipped. So no rule is evaluated twice when another process
gets the lease.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.alerts.channels.stored import Channel, list_channels
from app.alerts.issue_alerts import dispatch_issue_alerts, draft_of_issues
from app.alerts.messages import RESOLVED
from app.alerts.monitor_alerts import dispatch_monitor_alerts
from app.alerts.notifications import Draft
from app.alerts.rules.changes import ensure_presets
from app.alerts.rules.cooldown import (
    cooling_issues,
    notify,
    notify_of_issues,
    notify_recovered,
    write_state,
)
from app.alerts.rules.kind import Parts, Question, Reading
from app.alerts.rules.stored import Watch, watches
from app.issues.unignoring import end_ignoring
from app.store import Store, StoreError, utc_now

log = logging.getLogger("app.tracker")

# Part of the interval after which a rule is due. Clocks of hosts differ, and a run does not begin
# exactly on time.
SLACK = 0.9
MAX_DETAIL = 300


@dataclass(frozen=True)
class _Found:
    rule: Watch
    reading: Reading


class Evaluator:
    """Evaluates the rules of a store.

    :param every_s: interval between evaluations in seconds.
    :param gather: as for :func:`~app.alerts.issue_alerts.dispatch_issue_alerts`.
    """

    def __init__(
        self, store: Store, parts: Parts, every_s: float, gather: timedelta = timedelta()
    ) -> None:
        self._store = store
        self._gather = gather
        self._parts = parts
        self._every = timedelta(seconds=every_s)
        # For kinds with a ``rest_factor``: when they may be measured again.
        self._rests_until: dict[str, float] = {}

    def work(self) -> int:
        """Evaluate the rules that are due and return their number.

        :raise StoreError: the store does not answer. The next run evaluates the remaining rules.
        """
        ensure_presets(self._store)
        now = utc_now()
        end_ignoring(self._store, now)
        dispatch_issue_alerts(self._store, now, self._gather)
        dispatch_monitor_alerts(self._store, now)
        found = self._measure(now)
        if found:
            with self._store.write() as conn:
                _write(conn, found, now)
        return len(found)

    def dispatch(self) -> None:
        """Raise the notifications about issues that are new or back, and about monitors.

        :raise StoreError: the store does not answer.
        """
        now = utc_now()
        dispatch_issue_alerts(self._store, now, self._gather)
        dispatch_monitor_alerts(self._store, now)

    def _measure(self, now: datetime) -> list[_Found]:
        before = now - self._every * SLACK
        found = []
        with self._store.read() as conn:
            question = Question(conn, now, self._parts)
            for rule in watches(conn):
                if rule.evaluated_at is None or rule.evaluated_at <= before:
                    reading = self._read(rule, question)
                    found += [_Found(rule, reading)] if reading else []
        return found

    def _read(self, rule: Watch, question: Question) -> Reading | None:
        began = time.monotonic()
        if began < self._rests_until.get(rule.kind, began):
            return None
        try:
            return rule.about.measure(rule, question)
        except StoreError:
            raise
        except Exception:
            # One rule that fails must not keep the others from being evaluated.
            log.exception("rule %s could not be evaluated", rule.id)
            return Reading(None, False, "It could not be evaluated; the log says why.")
        finally:
            if rule.about.rest_factor:
                now = time.monotonic()
                self._rests_until[rule.kind] = now + (now - began) * rule.about.rest_factor


def _write(conn: Connection, found: list[_Found], now: datetime) -> None:
    channels = list_channels(conn)
    for one in found:
        write_state(conn, one.rule, **_state(one, now))
        if one.reading.issues:
            _notify_of_issues(conn, one, channels, now)
        # Without a title there is nothing to notify about: a notification named the issues before.
        elif one.reading.is_breach and one.reading.title and one.rule.may_notify(now):
            notify(conn, one.rule, _draft(one), channels, now)
        elif one.rule.about.tells_recovery and one.reading.value is not None:
            if not one.reading.is_breach and one.rule.state == "firing":
                notify_recovered(conn, one.rule, _recovery(one), channels, now)


def _notify_of_issues(
    conn: Connection, found: _Found, channels: list[Channel], now: datetime
) -> None:
    # Read the cool-downs again: another host may have sent a notification about these issues since
    # they were read.
    cooling = cooling_issues(conn, found.rule, now)
    fresh = [match for match in found.reading.issues if match.issue_id not in cooling]
    if draft := draft_of_issues(conn, found.rule, fresh, now):
        notify_of_issues(conn, found.rule, draft, channels, now)


def _state(found: _Found, now: datetime) -> dict[str, Any]:
    rule, reading = found.rule, found.reading
    is_known = reading.value is not None or bool(rule.about.transitions)
    state = "firing" if reading.is_breach else "ok" if is_known else "no_data"
    return {
        "state": state,
        "value": reading.value,
        "detail": reading.detail[:MAX_DETAIL],
        "evaluated_at": now,
    }


def _draft(found: _Found) -> Draft:
    rule, reading = found.rule, found.reading
    return Draft(
        kind=rule.kind,
        title=reading.title,
        text=f"{rule.title}: {reading.detail}",
        project_id=rule.project_id,
        issue_id=reading.issue_id,
    )


def _recovery(found: _Found) -> Draft:
    rule = found.rule
    text = f"{rule.title} is over. {found.reading.detail}"
    return Draft(RESOLVED, f"Recovered: {rule.title}", text, project_id=rule.project_id)
