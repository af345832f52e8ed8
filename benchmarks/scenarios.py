"""`make scenarios`: what people meet, played against a service with production settings.

*Broken*: Sentry is broken in four ways at once, and all pages and answers must agree. There are
five projects with random names and numbers. The upstream of one works, one answers 403, one answers
503, one never answers, and one project has no upstream. Each project gets events over
HTTP, in a service with production settings. Then pages, API, metrics and health are read as a
person and a program read them, and compared with the sent events. At the end everything is
repaired, and every event must have arrived at its Sentry once.

The other parts have modules of their own.

    scenarios.py          the steps            scenarios_pages.py      reading pages
    scenarios_checks.py   the checks           scenarios_deploy.py     a bad deploy
    scenarios_first_hour.py   a fresh clone    scenarios_customer.py   a customer writes
    scenarios_clone.py     any commit          scenarios_bad_day.py   upgrade, restore, full disk
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import scenarios_bad_day, scenarios_customer, scenarios_deploy, scenarios_first_hour
from benchmarks.scenarios_checks import WAYS, Case, check_broken, check_mended, check_trigger
from benchmarks.scenarios_pages import Person, serving_person
from benchmarks.second_door import report
from tests.fake_sentry import FakeSentry
from tests.server_process import wait_for

CALLERS = 4
BUGS = 5
# Three attempts that time out open a circuit. Each takes ten seconds, at worst one after another.
BROKEN_WITHIN_S = 90
MENDED_WITHIN_S = 90
PARTS_OF_IT = ("broken", "deploy", "customer", "first-hour", "bad-day")
WORDS = ("Atlas", "Birke", "Cobalt", "Dune", "Ember", "Fjord", "Garnet", "Harbour", "Isar", "Juno")
PARTS = ("backend", "shop", "mobile", "billing & tax", "<edge>", "search")


@dataclass
class Run:
    """A service with its projects and their upstreams."""

    person: Person
    cases: list[Case]
    fakes: dict[str, FakeSentry]
    own_fake: FakeSentry | None
    wrong: list[str] = field(default_factory=list)


def draw(chance: random.Random, events: int) -> list[Case]:
    """Draw a project for each kind of upstream: its name, its number, its number of events."""
    names = [f"{word} {chance.choice(PARTS)}" for word in chance.sample(WORDS, len(WAYS))]
    numbers = chance.sample(range(2, 90_000), len(WAYS))
    # All counts differ, so that a check cannot mistake the number of one project for another's.
    counts = chance.sample(range(events, events + 20), len(WAYS))
    return [Case(*drawn) for drawn in zip(WAYS, numbers, names, counts, strict=True)]


@contextmanager
def serving(chance: random.Random, events: int, folder: Path) -> Iterator[Run]:
    """Start the service and the fake Sentries, and make the projects."""
    cases = draw(chance, events)
    with ExitStack() as stack:
        fakes = {case.way: stack.enter_context(FakeSentry()) for case in cases}
        for way, mood in (("403", "403"), ("503", "503"), ("timing out", "hang")):
            fakes[way].set_mood(mood)
        own_fake = stack.enter_context(FakeSentry()) if chance.random() < 0.5 else None
        dsn = own_fake.dsn() if own_fake else ""
        _, person = stack.enter_context(serving_person(folder, SENTRY_DSN=dsn))
        for case in cases:
            make_project(person, case, fakes[case.way])
        yield Run(person, cases, fakes, own_fake)


def make_project(person: Person, case: Case, fake: FakeSentry) -> None:
    """Make a project with the API, and set the path of its envelope route."""
    body = {"name": case.name, "id": case.project_id, "key": secrets.token_hex(16)}
    if case.way != "none":
        body["upstream_dsn"] = fake.dsn(case.project_id)
    made = person.api("/api/projects", "POST", body)
    case.ingest = f"/api/{case.project_id}/envelope/?sentry_key={made['keys'][0]}"


def send_events(run: Run) -> None:
    """Send the events of all projects, in random order."""
    wanted = [(case, number) for case in run.cases for number in range(case.events)]
    random.shuffle(wanted)

    def send(one: tuple[Case, int]) -> None:
        case, number = one
        event_id = report(run.person.url + case.ingest, number % BUGS, number)
        if event_id is None:
            raise RuntimeError(f"an event of {case.name} was not answered with 200")
        case.event_ids.append(event_id)

    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(send, wanted))


def wait_broken(run: Run) -> None:
    """Wait until all events that can be sent are sent, and the other circuits are open."""

    def is_so() -> bool:
        found = run.person.api("/api/deliveries/overview")["destinations"]
        states = {one["project_id"]: one["state"] for one in found}
        fine = next(case for case in run.cases if case.way == "fine")
        return all(
            states.get(case.project_id) == "open" for case in run.cases if case.is_broken
        ) and set(fine.event_ids) <= set(run.fakes["fine"].event_ids())

    wait_for(is_so, BROKEN_WITHIN_S)
    fine = next(case for case in run.cases if case.way == "fine")
    wait_for(
        lambda: len(run.person.deliveries(fine.project_id, "delivered")) == fine.events,
        BROKEN_WITHIN_S,
    )


def mend(run: Run) -> None:
    """Repair all upstreams as a person would: first Sentry, then with the buttons of the pages."""
    for fake in run.fakes.values():
        fake.set_mood("ok")
    for case in run.cases:
        home = f"/admin/projects/{case.project_id}"
        if case.way == "none":
            dsn = run.fakes["none"].dsn(case.project_id)
            run.person.send(f"{home}/upstream", home, upstream_dsn=dsn)
            chosen = {"state": "local", "project": str(case.project_id)}
            run.person.send("/admin/deliveries/replay", "/admin/deliveries", **chosen)
        if case.is_broken:
            path = f"/admin/destinations/{case.project_id}/resume"
            run.person.send(path, "/admin/deliveries")
    wait_for(lambda: _waiting(run) == 0, MENDED_WITHIN_S)


def _waiting(run: Run) -> int:
    counts = run.person.api("/api/deliveries/overview")["counts"]
    return int(counts["pending"] + counts["retry"] + counts["parked"])


def play(run: Run) -> None:
    """Run the scenario, and collect all errors."""
    began = time.monotonic()
    send_events(run)
    sent = sum(case.events for case in run.cases)
    print(f"  {sent} events answered with 200 after {time.monotonic() - began:.0f} s", flush=True)
    wait_broken(run)
    print(f"  three circuits open after {time.monotonic() - began:.0f} s", flush=True)
    run.wrong += check_broken(run.person, run.cases, has_own=run.own_fake is not None)
    run.wrong += check_trigger(run.person)
    mend(run)
    print(f"  mended, and all sent, after {time.monotonic() - began:.0f} s", flush=True)
    run.wrong += check_mended(run.person, run.cases, run.fakes)


def play_broken(seed: int, events: int) -> list[str]:
    """Run the scenario of Sentry broken in four ways; return a line for each error."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        serving(random.Random(seed), events, Path(folder)) as run,
    ):
        for case in run.cases:
            print(f"  {case.way}: {case.name}, project {case.project_id}, {case.events} events")
        print(f"  this application: {'a DSN' if run.own_fake else 'no DSN'}", flush=True)
        play(run)
    return run.wrong


def main() -> int:
    """Run with the options of the command line; return 1 if a check failed."""
    parser = argparse.ArgumentParser(
        prog="make scenarios",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=int, default=200, help="a project, at least (%(default)s)")
    parser.add_argument("--seed", type=int, help="of names and numbers (another one each time)")
    parser.add_argument("--part", choices=PARTS_OF_IT, help="only this one")
    parser.add_argument(
        "--early-events", type=int, default=100_000, help="of the bad day's store (%(default)s)"
    )
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    parts = {
        "broken": ("Sentry broken in four ways", lambda: play_broken(seed, options.events)),
        "deploy": ("a bad deploy", lambda: scenarios_deploy.play(seed)),
        "customer": ("a customer writes", lambda: scenarios_customer.play(seed)),
        "first-hour": ("the first hour of an operator", scenarios_first_hour.play),
        "bad-day": ("an operator's bad day", lambda: scenarios_bad_day.play(options.early_events)),
    }
    wrong: list[str] = []
    for part, (title, run) in parts.items():
        if options.part in (None, part):
            print(f"\n{title}, seed {seed} (one to three minutes)", flush=True)
            wrong += run()
    for text in wrong:
        print(f"  WRONG  {text}")
    print(f"  {len(wrong) or 'nothing'} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
