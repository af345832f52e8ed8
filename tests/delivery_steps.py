"""Steps of delivery tests: send until nothing waits, or until a condition holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask

from app.delivery import accounting, outbox
from app.delivery.forwarder import Forwarder
from app.worker import rules_of
from tests.conftest import parts_of
from tests.server_process import wait_for


@contextmanager
def forwarding(app: Flask) -> Iterator[Forwarder]:
    """Run a forwarder of this application, as a serving process does."""
    parts = parts_of(app)
    forwarder = Forwarder(parts.store, parts.destinations, rules_of(parts.config))
    forwarder.start()
    parts.intake.stored = forwarder.wake
    try:
        yield forwarder
    finally:
        parts.intake.stored = lambda: None
        forwarder.stop()


def deliver(app: Flask) -> None:
    """Send until no envelope waits."""
    with forwarding(app):
        wait_for(lambda: not waiting_projects(app))


def deliver_until(app: Flask, condition: Callable[[], bool]) -> None:
    """Send until a condition holds."""
    with forwarding(app):
        wait_for(condition)


def waiting_projects(app: Flask) -> list[int]:
    with parts_of(app).store.read() as conn:
        return outbox.projects_with_outbox(conn)


def accounting_of(app: Flask) -> dict[str, object]:
    with parts_of(app).store.read() as conn:
        return accounting.accounting(conn)
