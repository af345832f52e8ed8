"""Forwarding under failures: an attempt that cannot be recorded, and projects that wait.

Limits: 200 envelopes go to two destinations, and the database refuses the row of one attempt. All
envelopes are delivered once, and the accounting balances. With 1,000 projects that wait for an
hour, a run of the forwarder needs at most six statements, and the envelope of another project is
delivered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from sqlalchemy import update

from app import create_app
from app.delivery import results
from app.delivery.accounting import accounting
from app.delivery.tables import destinations
from benchmarks.attacks import Attack, Outcome
from config import load_config
from tests.conftest import parts_of
from tests.delivery.shop import (
    accept,
    add_project,
    add_projects_that_wait,
    counting,
    id_of,
    refuse_attempts_of,
    state_of,
    states_of,
)
from tests.delivery_steps import forwarding
from tests.mini_sentry import MiniSentry
from tests.server_process import wait_for

PROJECTS, RUNS, MAX_STATEMENTS = 1000, 10, 6.0
EACH = 100
# The first wait before a result is written again; in the service the wait is longer.
SOON_S = 0.1


def refused_result(data: Path) -> Outcome:
    """Make the database refuse the row of one attempt, and check the other envelopes."""
    with MiniSentry() as sentry, MiniSentry() as other, _app(data, sentry.dsn) as app:
        add_project(app, 7, other.dsn)
        ids = [accept(app, f"order {number}") for number in range(EACH)]
        ids += [accept(app, f"order {number}", project_id=7) for number in range(EACH)]
        refuse_attempts_of(app, id_of(app, ids[0]))
        began = time.monotonic()
        with forwarding(app):
            wait_for(lambda: states_of(app).count("delivered") >= len(ids) - 1)
            others_s = time.monotonic() - began
            wait_for(lambda: state_of(app, ids[0]) == "delivered")
            one_s = time.monotonic() - began
        arrived = sorted(sentry.event_ids() + other.event_ids())
        with parts_of(app).store.read() as conn:
            balanced = accounting(conn)["balanced"]
    return Outcome(
        f"that one {one_s:.1f} s, {len(arrived) - len(set(arrived))} sent twice",
        f"{len(ids) - 1} others delivered in {others_s:.1f} s",
        arrived == sorted(ids) and balanced and others_s <= one_s,
    )


def many_that_wait(data: Path) -> Outcome:
    """Count the statements of a run while 1,000 projects wait, then send another's envelope."""
    with MiniSentry() as sentry, _app(data, sentry.dsn) as app:
        store = parts_of(app).store
        add_projects_that_wait(store, PROJECTS, sentry.dsn)
        with store.write() as conn:
            conn.execute(update(destinations).values(failures=1))
        with forwarding(app) as forwarder:
            wait_for(lambda: forwarder.runs > 2)
            with counting() as statements:
                before = forwarder.runs
                wait_for(lambda: forwarder.runs >= before + RUNS)
                each = len(statements) / (forwarder.runs - before)
            began = time.monotonic()
            event_id = accept(app, "of one that does not wait")
            wait_for(lambda: state_of(app, event_id) == "delivered")
    return Outcome(
        f"{each:.1f} statements a run",
        f"one with something due: {time.monotonic() - began:.1f} s",
        each <= MAX_STATEMENTS,
    )


@contextmanager
def _app(data: Path, dsn: str) -> Iterator[Flask]:
    settings = {"ENVIRONMENT": "testing", "DATA_DIR": data, "SENTRY_DSN": dsn}
    app = create_app(load_config({}, **settings, DELIVERY_BACKLOG_PER_S=0))
    # Each failure is logged with its traceback, which would disturb the printed table.
    log = logging.getLogger("app.tracker")
    level, wait_s = log.level, results.FIRST_WAIT_S
    log.setLevel(logging.CRITICAL)
    results.FIRST_WAIT_S = SOON_S
    try:
        yield app
    finally:
        log.setLevel(level)
        results.FIRST_WAIT_S = wait_s
        parts_of(app).intake.close()
        parts_of(app).store.dispose()


ATTACKS = [
    Attack("a result that cannot be written, among 200", refused_result),
    Attack("1,000 projects that wait, and one that has work", many_that_wait),
]
