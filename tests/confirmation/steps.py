"""Steps of these tests: ask as the background task does, second by second of a moved clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sentry_sdk
from flask import Flask
from sqlalchemy import Row, func, select, update

from app import sentry
from app.confirmation.tables import confirmation_apis, confirmation_sources, confirmations
from app.confirmation.task import ConfirmationTask
from app.store import utc_now
from tests.conftest import parts_of
from tests.contract_sentry import ORG, TOKEN

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SETTINGS: dict[str, Any] = {"SENTRY_API_TOKEN": TOKEN, "SENTRY_ORG": ORG}


def task_of(app: Flask, *, canaries: bool = False) -> ConfirmationTask:
    parts = parts_of(app)
    return ConfirmationTask(parts.store, "test", parts.destinations, sends_canaries=canaries)


def capture(count: int, name: str = "error") -> list[str]:
    """Capture errors that each make an issue; return their ids."""
    found = []
    for number in range(count):
        with sentry_sdk.new_scope() as scope:
            scope.fingerprint = [f"{name} {number}"]
            found.append(str(sentry.capture_message(f"{name} {number}")))
    return found


def repeat(name: str = "error") -> str:
    """Capture an error of an issue that there is."""
    return capture(1, name)[0]


def rows(app: Flask) -> dict[str, Row[Any]]:
    with parts_of(app).store.read() as conn:
        return {row.event_id: row for row in conn.execute(select(confirmations))}


def states(app: Flask) -> dict[str, str]:
    return {event_id: row.state for event_id, row in rows(app).items()}


def ask_until(app: Flask, task: ConfirmationTask, clock: Any, end: datetime) -> int:
    """Run the task until ``end``, at the moments at which there is something to do.

    Between questions the clock is moved on, by ten minutes at most where canaries may be due.
    Return the number of runs.
    """
    runs = 0
    while utc_now() < end:
        task.work()
        runs += 1
        moment = min(_next(app, end), end)
        if task.sends_canaries:
            moment = min(moment, utc_now() + timedelta(minutes=10))
        step = max(moment - utc_now(), timedelta(seconds=1))
        clock.shift(min(step, max(end - utc_now(), timedelta(milliseconds=1))))
    return runs


def _next(app: Flask, end: datetime) -> datetime:
    """Return when the next question may be asked, ``end`` if there is none."""
    with parts_of(app).store.read() as conn:
        question = conn.scalar(select(func.min(confirmations.c.next_at)))
        right = conn.scalar(select(func.min(confirmation_apis.c.next_at)))
        rests = conn.scalar(select(func.min(confirmation_sources.c.rests_until)))
    return max(question, right or question, rests or question) if question else end


def keep_others_away(app: Flask, until: datetime) -> None:
    """Have another process take the right to the next request."""
    with parts_of(app).store.write() as conn:
        conn.execute(update(confirmation_apis).values(next_at=until))
