"""The table of losses: of the SDK alone, and of this service in the same scenarios.

Each scenario runs three times: with the SDK alone, with this application's own errors (door 1), and
with another program's errors that were answered 200 (door 2). The record of the fake Sentry shows
how many arrived.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.delivery import outbox
from app.delivery.destination_sender import CONNECTIONS
from app.store import Store
from benchmarks import sdk_alone, second_door
from benchmarks.sdk_alone import LATENCY_S, PACE_S, SCENARIOS, Row, Scenario
from benchmarks.usage import only_help
from tests.fake_sentry import FakeSentry
from tests.server_process import Server, WorkerProcess, settings, wait_for

FAST = {"DELIVERY_BACKOFF_BASE_S": "0.1", "DELIVERY_BACKOFF_MAX_S": "2", "WEB_CONCURRENCY": "1"}
DRAINED_WITHIN_S = 60


@dataclass(frozen=True)
class DoorRow:
    """The result of one door; ``repeats`` counts events that arrived again."""

    row: Row
    repeats: int
    kills: int


class _FirstDoor(sdk_alone.CapturingProcess):
    """A process of this application that captures its own errors."""

    def __init__(self, data_dir: Path, store: Store, dsn: str) -> None:
        environ = settings(data_dir) | FAST | {"SENTRY_DSN": dsn}
        super().__init__("benchmarks.first_door", environ=environ)
        self.kills = 0

    def capture_and_die(self, count: int) -> None:
        super().capture_and_die(count)
        self.kills += 1


class _SecondDoor:
    """Errors of another program; an event counts if it was answered 200."""

    def __init__(self, data_dir: Path, store: Store, dsn: str) -> None:
        self.event_ids: list[str] = []
        self.kills = 0
        self._server = Server(data_dir, **FAST)
        self._server.wait_ready()
        door = second_door.open_project(data_dir, store, dsn)
        self._url = f"{self._server.url}{door}" if door else None

    def capture(self, count: int, every_s: float = PACE_S) -> None:
        for number in range(count if self._url else 0):
            event_id = second_door.report(str(self._url), number % 7, number)
            self.event_ids += [event_id] if event_id else []
            time.sleep(every_s)

    def capture_and_die(self, count: int) -> None:
        self.capture(count, every_s=0)
        self.kill()
        self.kills += bool(self._url)

    def end(self) -> None:
        self._server.stop()

    def kill(self) -> None:
        if self._server.process.poll() is None:
            self._server.kill_all()


DOORS: dict[str, type[_FirstDoor] | type[_SecondDoor]] = {
    "door 1": _FirstDoor,
    "door 2": _SecondDoor,
}


def main(latency_s: float = LATENCY_S) -> bool:
    """Run every row, and print the table; return whether the service lost nothing."""
    print(f"  the fake Sentry is {latency_s * 1000:.0f} ms away")
    head = (
        "what happens",
        "SDK alone loses",
        "door 1 loses",
        "door 2 loses",
        "twice/kills/allowed",
    )
    print(f"  {head[0]:42} {head[1]:>16} {head[2]:>14} {head[3]:>14} {head[4]:>20}")
    return all([_print_row(scenario, latency_s) for scenario in SCENARIOS])


def _print_row(scenario: Scenario, latency_s: float) -> bool:
    alone = sdk_alone.measure(scenario, latency_s)
    doors = [measure(scenario, door, latency_s) for door in DOORS]
    repeats, kills = sum(one.repeats for one in doors), sum(one.kills for one in doors)
    counts = f"{repeats} / {kills} / {kills * CONNECTIONS}"
    told = [_told(one.row) for one in doors]
    print(
        f"  {scenario.name:42} {_told(alone):>16} {told[0]:>14} {told[1]:>14} {counts:>20}",
        flush=True,
    )
    return not any(one.row.lost for one in doors) and repeats <= kills * CONNECTIONS


def _told(row: Row) -> str:
    return f"{row.lost} of {row.captured}" if row.captured else "NOT RUN"


def measure(scenario: Scenario, door: str, latency_s: float = LATENCY_S) -> DoorRow:
    """Run a scenario with one door, wait for the outbox to drain, and count."""
    with (
        FakeSentry(latency_s=latency_s) as fake,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
    ):
        data = Path(folder) / "data"
        store = Store(f"sqlite:///{data / 'devenviro.sqlite3'}")
        with contextlib.ExitStack() as stack:
            stack.callback(store.dispose)
            program = stack.enter_context(_behind(DOORS[door](data, store, fake.dsn())))
            scenario.happen(fake, program)
            program.end()
            _drain(data, store, fake.dsn())
        arrived = set(fake.event_ids()) & set(program.event_ids)
        row = Row(scenario.name, len(program.event_ids), len(arrived))
        return DoorRow(row, len(fake.repeats()), program.kills)


@contextmanager
def _behind(program: _FirstDoor | _SecondDoor) -> Iterator[_FirstDoor | _SecondDoor]:
    try:
        yield program
    finally:
        program.kill()


def _drain(data: Path, store: Store, dsn: str) -> None:
    worker = WorkerProcess(data, SENTRY_DSN=dsn, **FAST)
    try:
        wait_for(lambda: not _waiting(store), DRAINED_WITHIN_S)
    finally:
        worker.stop()


def _waiting(store: Store) -> list[int]:
    with store.read() as conn:
        return outbox.projects_with_outbox(conn)


if __name__ == "__main__":
    only_help(__doc__)
    sys.exit(not main())
