"""The `flask worker` command: run the background tasks in a process without web requests."""

from __future__ import annotations

import signal

import click
from flask.cli import with_appcontext

from app.output import say
from app.web.current import (
    current_config,
    current_destinations,
    current_dispatcher,
    current_intake,
    current_store,
    registered,
)
from app.worker import Worker


def make_worker() -> Worker:
    """Return the worker with the background tasks of the current application, not started yet."""
    return Worker(
        current_config(),
        current_store(),
        current_intake(),
        current_destinations(),
        current_dispatcher(),
        registered("tasks").values(),
    )


@click.command("worker")
@with_appcontext
def worker_command() -> None:
    """Run only the background tasks, until SIGTERM or Ctrl-C.

    By default, every web process runs them, too (WORKER_IN_WEB).
    """
    worker = make_worker()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.finish())
    say(f"worker {worker.owner} runs", err=True)
    worker.run_once()
    worker.run_forever()
