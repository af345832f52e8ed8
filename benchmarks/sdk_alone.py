"""The losses of the SDK alone: plain `sentry_sdk.init`, its own transport, a failing fake Sentry.

`SCENARIOS` are failures for any program that captures errors. `python -m benchmarks.sdk_alone` runs
them with the SDK, in a new process for each row, and counts from the record of the fake.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Protocol

import sentry_sdk

from tests.fake_sentry import ROOT, FakeSentry

# A round trip to a Sentry that is not in the same rack. This matters: if the upstream answers
# within a millisecond, the SDK's queue never fills, and a SIGKILL loses few events of it.
LATENCY_S = 0.05
PACE_S = 0.1
# Longer than the 20 captures take, and short enough to wait for programs that try again after it.
RETRY_AFTER_S = 3
# At this pace seven captures take a second, the time for which connections are refused.
REFUSED_PACE_S = 0.15
# The whole queue of the SDK, 100 events, takes 5 s.
FLUSH_TIMEOUT_S = 10


class Program(Protocol):
    """A program that captures errors: the SDK alone, or this service."""

    def capture(self, count: int, every_s: float = PACE_S) -> None:
        """Capture ``count`` different errors; return after the last one."""

    def capture_and_die(self, count: int) -> None:
        """Capture ``count`` errors without a pause, then kill the process that holds them."""


@dataclass(frozen=True)
class Scenario:
    """A row of the table; ``happen`` sets the moods of the fake and makes the program capture."""

    name: str
    happen: Callable[[FakeSentry, Program], None]


@dataclass(frozen=True)
class Row:
    """The number of captured events, and how many of them the fake accepted."""

    name: str
    captured: int
    arrived: int

    @property
    def lost(self) -> int:
        return self.captured - self.arrived


def _answers_503(fake: FakeSentry, program: Program) -> None:
    fake.set_mood("503")
    program.capture(10)
    fake.set_mood("ok")
    program.capture(10)


def _answers_429(fake: FakeSentry, program: Program) -> None:
    fake.set_mood("429", retry_after=RETRY_AFTER_S, times=1)
    program.capture(20)


def _burst(fake: FakeSentry, program: Program) -> None:
    program.capture(300, every_s=0)


def _refuses(fake: FakeSentry, program: Program) -> None:
    fake.set_mood("refused")
    program.capture(7, REFUSED_PACE_S)
    fake.set_mood("ok")
    program.capture(13, REFUSED_PACE_S)


def _killed(fake: FakeSentry, program: Program) -> None:
    program.capture_and_die(50)


SCENARIOS = (
    Scenario("Sentry answers 503 for half the run", _answers_503),
    Scenario(f"Sentry answers one 429, Retry-After: {RETRY_AFTER_S}", _answers_429),
    Scenario("healthy, a burst of 300 errors", _burst),
    Scenario("connections refused for a second", _refuses),
    Scenario("SIGKILL after 50 captures", _killed),
)


class CapturingProcess:
    """A process that captures errors as lines on stdin say, and prints the ids of the events.

    :param module: the module that it runs; its main function calls :func:`be_the_program`.
    """

    def __init__(
        self, module: str, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self.event_ids: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def capture(self, count: int, every_s: float = PACE_S) -> None:
        self._order(f"{count} {every_s} go-on")

    def capture_and_die(self, count: int) -> None:
        self._order(f"{count} 0 die")

    def _order(self, line: str) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        for answer in self._process.stdout:
            if answer == "done\n":
                return
            self.event_ids.append(answer.strip())

    def end(self) -> None:
        """Close its stdin, so that it sends the remaining events and exits."""
        self._process.communicate(timeout=FLUSH_TIMEOUT_S + 5)

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()


@contextmanager
def sdk_alone(dsn: str) -> Iterator[CapturingProcess]:
    """Run the SDK alone in a process, and end it after the scenario."""
    program = CapturingProcess("benchmarks.sdk_alone", "--capture-to", dsn)
    try:
        yield program
        program.end()
    finally:
        program.kill()


def measure(scenario: Scenario, latency_s: float = LATENCY_S) -> Row:
    """Run a scenario with the SDK alone; takes less than 20 seconds."""
    with FakeSentry(latency_s=latency_s) as fake:
        with sdk_alone(fake.dsn()) as program:
            scenario.happen(fake, program)
        arrived = set(fake.event_ids()) & set(program.event_ids)
        return Row(scenario.name, len(program.event_ids), len(arrived))


def rows(latency_s: float = LATENCY_S) -> Iterator[Row]:
    """Yield the result of every scenario, one after the other."""
    return (measure(scenario, latency_s) for scenario in SCENARIOS)


def be_the_program() -> None:
    """Capture errors as the lines on stdin say; end with SIGKILL after a line with `die`."""
    for line in sys.stdin:
        count, every_s, then = line.split()
        for number in range(int(count)):
            print(_capture(number), flush=True)
            time.sleep(float(every_s))
        if then == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        print("done", flush=True)


def _capture(number: int) -> str | None:
    try:
        raise ValueError(f"order {number} has no price")
    except ValueError as error:
        return sentry_sdk.capture_exception(error)


def main() -> None:
    """Print the losses of the SDK alone in each scenario."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk_alone", description=__doc__)
    parser.add_argument(
        "--latency-s", type=float, default=LATENCY_S, help="round trip to the fake (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a row")
    parser.add_argument("--capture-to", metavar="DSN", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.capture_to:
        sentry_sdk.init(dsn=options.capture_to)
        be_the_program()
        return sentry_sdk.flush(timeout=FLUSH_TIMEOUT_S)
    if not options.json:
        print(f"  {'what happens to the SDK alone':42} {'captured':>9} {'arrived':>9} {'lost':>6}")
    for row in rows(options.latency_s):
        if options.json:
            print(json.dumps(asdict(row)), flush=True)
        else:
            line = f"{row.captured:9} {row.arrived:9} {row.lost:6}"
            print(f"  {row.name:42} {line}", flush=True)


if __name__ == "__main__":
    main()
