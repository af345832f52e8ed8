"""Four web processes and two workers on one store: one of them sends at a time, whoever dies."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from flask import Flask
from sqlalchemy import select

from app.delivery.destination_sender import CONNECTIONS
from app.delivery.tables import attempts
from app.sentry import capture_message
from app.store.tables import leases
from tests.conftest import parts_of
from tests.delivery_steps import accounting_of, deliver, forwarding, waiting_projects
from tests.fake_sentry import FakeSentry
from tests.server_process import Server, WorkerProcess, serving, wait_for

QUEUED = 200


class Fleet:
    """Every process that may send, and the application of the test, which does not."""

    def __init__(self, app: Flask, server: Server, workers: list[WorkerProcess]) -> None:
        self.app, self.server, self.workers = app, server, workers

    def holder(self) -> psutil.Process:
        """The process that holds the lease of project 1's destination."""
        wait_for(lambda: self.owner() is not None)
        return psutil.Process(int(str(self.owner()).split(":")[1]))

    def owner(self) -> str | None:
        query = select(leases.c.owner).where(leases.c.name == "delivery:1")
        with parts_of(self.app).store.read() as conn:
            return conn.scalar(query)


@pytest.fixture
def fleet(
    make_app: Callable[..., Flask], fake_sentry: FakeSentry, database_url: str, tmp_path: Path
) -> Iterator[Fleet]:
    data, dsn = tmp_path / "data", fake_sentry.dsn()
    settings = {"SENTRY_DSN": dsn, "DATABASE_URL": database_url, "DELIVERY_BACKLOG_PER_S": "0"}
    app = make_app(SENTRY_DSN=dsn, DATA_DIR=data)
    with serving(data, WEB_CONCURRENCY="2", **settings) as server:
        workers = [WorkerProcess(data, **settings) for _ in range(2)]
        try:
            yield Fleet(app, server, workers)
        finally:
            for worker in workers:
                worker.stop()


def capture_some(count: int) -> list[str]:
    return [str(capture_message(f"order {number} has no price")) for number in range(count)]


def test_four_processes_send_everything_once_and_never_two_the_same(
    fleet: Fleet, fake_sentry: FakeSentry
) -> None:
    queued = capture_some(QUEUED)
    answers = [fleet.server.test_error(f"order {number}") for number in range(20)]
    captured = sorted([*queued, *(answer.json()["event_id"] for answer in answers)])
    wait_for(lambda: not waiting_projects(fleet.app))
    assert sorted(fake_sentry.event_ids()) == captured
    assert fake_sentry.repeats() == fake_sentry.overlaps() == []
    assert accounting_of(fleet.app)["delivered"] == len(captured)


def test_holder_that_is_stopped_hands_over_without_a_duplicate(
    fleet: Fleet, fake_sentry: FakeSentry
) -> None:
    fake_sentry.set_mood("slow", seconds=0.5)
    captured = capture_some(QUEUED)
    wait_for(lambda: len(fake_sentry.event_ids()) > 10)
    before = fleet.owner()
    fleet.holder().terminate()
    # On a busy machine it may have sent everything before it is stopped.
    wait_for(lambda: fleet.owner() not in (None, before) or not waiting_projects(fleet.app))
    wait_for(lambda: not waiting_projects(fleet.app))
    assert sorted(fake_sentry.event_ids()) == sorted(captured)
    assert fake_sentry.repeats() == fake_sentry.overlaps() == []


def test_holder_that_is_killed_is_relieved_long_before_its_lease_runs_out(
    fleet: Fleet, fake_sentry: FakeSentry
) -> None:
    fake_sentry.set_mood("slow", seconds=0.5)
    captured = capture_some(QUEUED)
    wait_for(lambda: len(fake_sentry.event_ids()) > 10)
    before = fleet.owner()
    fleet.holder().send_signal(signal.SIGKILL)
    # A lease lasts 60 s.
    wait_for(lambda: fleet.owner() not in (None, before), timeout_s=30)
    wait_for(lambda: not waiting_projects(fleet.app))
    assert set(fake_sentry.event_ids()) == set(captured)
    assert len(fake_sentry.repeats()) <= CONNECTIONS
    assert accounting_of(fleet.app)["balanced"]


def test_forwarder_that_stops_ends_what_hangs_before_another_one_sends_it(
    make_app: Callable[..., Flask], fake_sentry: FakeSentry
) -> None:
    app = make_app(SENTRY_DSN=fake_sentry.dsn(), DELIVERY_BACKOFF_BASE_S="0.05")
    fake_sentry.set_mood("hang", times=3)
    with forwarding(app):
        for number in range(3):
            capture_message(f"hangs {number}")
        fake_sentry.wait_for(lambda fake: len(fake.requests()) == 3)
    deliver(app)
    assert len(fake_sentry.event_ids()) == 3
    assert fake_sentry.overlaps() == []
    with parts_of(app).store.read() as conn:
        causes = conn.scalars(select(attempts.c.error).where(attempts.c.error.is_not(None)))
        assert set(causes) == {"this process ended before an answer came"}
