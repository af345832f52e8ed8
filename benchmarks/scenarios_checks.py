"""Checks while Sentry is broken in four ways, and after the repair; a line for each error.

The expected numbers are counted by the sender of the events, never read from the service.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from benchmarks.scenarios_pages import Page, Person
from tests.fake_sentry import FakeSentry

WAYS = ("fine", "403", "503", "timing out", "none")
OWN = "DevEnviro"


@dataclass
class Case:
    """A project: the behaviour of its upstream (``way``), and the events sent to it."""

    way: str
    project_id: int
    name: str
    events: int
    ingest: str = ""
    event_ids: list[str] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        return self.way not in ("fine", "none")

    @property
    def waiting(self) -> int:
        """The number of its envelopes that must wait."""
        return self.events if self.is_broken else 0


def check_broken(person: Person, cases: list[Case], *, has_own: bool) -> list[str]:
    """Compare all pages and answers with the sent events, while three upstreams are broken."""
    found = [*_header(person, cases, has_own), *_start(person, cases, has_own)]
    found += [*_status(person, cases), *_metrics(person, cases), *_overview(person, cases)]
    for case in cases:
        found += [*_project(person, case), *_events(person, case), *_deliveries(person, case)]
        found += _advice_and_tries(person, case)
    found += _health(person.api("/health"), "warn")
    return found


def check_trigger(person: Person) -> list[str]:
    """Compare "Sent." with the trail beside it, on the page that sends a test error."""
    fields = {"kind": "exception", "message": "a test", "level": "error", "status": "500"}
    page = person.page(person.send("/admin/test-error", "/admin/test-error", **fields))
    says_sent = page.says("Sent.")
    is_open = any("not yet" in text for text in page.texts("li")) or page.says("does not have it")
    return ["Trigger: says “Sent.” beside “not yet”"] if says_sent and is_open else []


def check_mended(person: Person, cases: list[Case], fakes: dict[str, FakeSentry]) -> list[str]:
    """Compare the records of the fake Sentries and the accounting with the sent events."""
    found = []
    for case in cases:
        arrived = fakes[case.way].event_ids()
        lost, twice = set(case.event_ids) - set(arrived), len(arrived) - len(set(arrived))
        found += [f"{case.name} ({case.way}): {len(lost)} events lost"] if lost else []
        found += [f"{case.name} ({case.way}): {twice} events came twice"] if twice else []
        delivered = len(person.deliveries(case.project_id, "delivered"))
        found += _same(f"{case.name}: delivered, by API", delivered, case.events)
        answer = person.api(f"/api/projects/{case.project_id}")["delivery"]
        state = {name: answer[name] for name in ("state", "waiting", "parked")}
        found += _same(
            f"{case.name}: /api/projects", state, {"state": "closed", "waiting": 0, "parked": 0}
        )
    totals = person.api("/system/status")["accounting"]
    found += _same("the books balance", totals["balanced"], True)
    start = person.page("/admin/")
    found += _same("Start", start.texts("h1")[0], "Monitoring works")
    found += _same("header", start.badge, "Sentry reached")
    return [*found, *_health(person.api("/health"), "pass")]


def _header(person: Person, cases: list[Case], has_own: bool) -> Iterator[str]:
    page = person.page("/admin/")
    broken = [case for case in cases if case.is_broken]
    with_dsn = len(broken) + 1 + has_own
    yield from _same("header", page.badge, f"Sentry not reached: {len(broken)} of {with_dsn}")
    for case in cases:
        is_named = case.name in page.badge_title
        yield from _same(f"header names {case.name} ({case.way})", is_named, case.is_broken)


def _start(person: Person, cases: list[Case], has_own: bool) -> Iterator[str]:
    page = person.page("/admin/")
    yield from _same("Start", page.texts("h1")[0], "Monitoring needs attention")
    for case in cases:
        waits = page.says(case.name, f"{case.waiting} envelopes wait")
        yield from _same(f"Start: {case.name} ({case.way}) waits", waits, case.is_broken)
        stays = page.says("Not sent on", case.name, "no DSN of its own")
        yield from _same(f"Start: {case.name} needs a DSN", stays, case.way == "none")
    stays = page.says("Not sent on", OWN, "no SENTRY_DSN")
    yield from _same("Start: this application needs a DSN", stays, not has_own)
    yield from _tries("Start", page)


def _status(person: Person, cases: list[Case]) -> Iterator[str]:
    page = person.page("/admin/status")
    figures = page.figures()
    for case in cases:
        said = figures.get(case.name, "nothing")
        words = {"fine": "sending", "none": "stays here"}.get(case.way, "circuit open")
        waits = f", {case.waiting} envelopes wait" if case.is_broken else ""
        yield from _same(f"Status: {case.name} ({case.way})", said, words + waits)
    report = person.api("/system/status")
    by_id = {one["id"]: one["waiting"] for one in report["sentry"]["projects"]}
    for case in cases:
        yield from _same(f"/system/status: {case.name}", by_id[case.project_id], case.waiting)
    totals = report["accounting"]
    waiting = sum(case.waiting for case in cases)
    yield from _same("the books: waiting", totals["pending"] + totals["retry"], waiting)
    yield from _same("the books: accepted", totals["accepted"], sum(one.events for one in cases))
    yield from _same("the books balance", totals["balanced"], True)
    terms = dict(re.findall(r"<b>([\d,]+)</b> (\w+)", page.html))
    yield from _same("Status: accepted", terms.get(f"{totals['accepted']:,}"), "accepted")
    yield from _tries("Status", page)


def _metrics(person: Person, cases: list[Case]) -> Iterator[str]:
    text = person.raw("/metrics").data.decode()
    for case in cases:
        label = f'{{project="{case.project_id}"}}'
        waiting = _sample(text, f"devenviro_project_waiting{label}")
        is_open = _sample(text, f"devenviro_circuit_open{label}")
        expected = (None, None) if case.way == "none" else (case.waiting, int(case.is_broken))
        yield from _same(f"/metrics: {case.name} ({case.way})", (waiting, is_open), expected)


def _overview(person: Person, cases: list[Case]) -> Iterator[str]:
    before = datetime.now(UTC)
    found = person.api("/api/deliveries/overview")["destinations"]
    by_id = {one["project_id"]: one for one in found}
    for case in cases:
        one = by_id.get(case.project_id)
        if one is None:
            yield from _same(f"overview: {case.name}", case.way, "none")
            continue
        yield from _same(f"overview: {case.name}", one["waiting"], case.waiting)
        if one["probe_at"] and datetime.fromisoformat(one["probe_at"]) < before:
            yield f"overview: {case.name} has a probe in the past"


def _project(person: Person, case: Case) -> Iterator[str]:
    page = person.page(f"/admin/projects/{case.project_id}")
    yield from _same(f"{case.name}: Events", page.figures().get("Events"), f"{case.events:,}")
    waits = page.says(f"{case.waiting} envelopes wait")
    yield from _same(f"{case.name}: its page says that it waits", waits, case.is_broken)
    answer = person.api(f"/api/projects/{case.project_id}")
    yield from _same(f"/api/projects: {case.name}: events", answer["events"], case.events)
    waiting = answer["delivery"]["waiting"]
    yield from _same(f"/api/projects: {case.name}: waiting", waiting, case.waiting)


def _events(person: Person, case: Case) -> Iterator[str]:
    path = f"/api/issues?project_id={case.project_id}&limit=100"
    issues = person.api(path)["issues"]
    seen = sum(int(issue["times_seen"]) for issue in issues)
    yield from _same(f"{case.name}: events of its issues, by API", seen, case.events)
    pages = [person.page(f"/admin/issues/{issue['id']}") for issue in issues]
    told = sum(int(page.figures()["Events"].replace(",", "")) for page in pages)
    yield from _same(f"{case.name}: events of its issues, by page", told, case.events)
    event = person.page(f"/admin/events/{case.event_ids[0]}")
    for page in (event, *pages):
        yield from _trail(case, page)


def _trail(case: Case, page: Page) -> Iterator[str]:
    words = {
        "fine": ["accepted by Sentry"],
        "none": ["not sent on", "its project has no DSN of its own"],
    }.get(case.way, ["Sentry does not have it yet"])
    if not page.says(*words):
        said = [text for text in page.texts("p") if "Recorded here" in text]
        yield f"{case.name} ({case.way}): an event's trail says {said}"


def _deliveries(person: Person, case: Case) -> Iterator[str]:
    page = person.page(f"/admin/deliveries?project={case.project_id}")
    waiting = page.figures().get("Waiting")
    yield from _same(f"Deliveries: {case.name}: Waiting", waiting, f"{case.waiting:,}")
    expected = {"fine": {"delivered"}, "none": {"local"}}.get(case.way, {"pending", "retry"})
    before = datetime.now(UTC)
    rows = person.deliveries(case.project_id)
    yield from _same(f"/api/deliveries: {case.name}", len(rows), case.events)
    yield from _same(f"{case.name}: states", {row["state"] for row in rows} - expected, set())
    past = [row for row in rows if row["next_at"] and _moment(row["next_at"]) < before]
    yield from _same(f"/api/deliveries: {case.name}: next_at in the past", len(past), 0)


def _advice_and_tries(person: Person, case: Case) -> Iterator[str]:
    row = person.deliveries(case.project_id)[0]
    paths = [
        f"/admin/projects/{case.project_id}",
        f"/admin/deliveries?project={case.project_id}",
        f"/admin/deliveries/{row['id']}",
        f"/admin/events/{row['event_id']}",
        f"/admin/issues?project={case.project_id}",
    ]
    for path in paths:
        page = person.page(path)
        if any("SENTRY_DSN" in text for _, text in page.blocks):
            yield f"{path} speaks of SENTRY_DSN, which is project 1's"
        yield from _tries(path, page)


def _tries(where: str, page: Page) -> Iterator[str]:
    for text in page.past_tries():
        yield f"{where}: a next try in the past: {text[:200]} (at {page.asked_at:%H:%M:%S})"


def _health(report: dict[str, object], delivery: str) -> Iterator[str]:
    checks, sentry = report["checks"], report["sentry"]
    yield from _same("/health: sentry", sentry, {"enabled": True})
    said = checks.get("delivery") if isinstance(checks, dict) else None
    yield from _same("/health: delivery", said, delivery)


def _same(what: str, said: object, expected: object) -> Iterator[str]:
    if said != expected:
        yield f"{what}: {said!r}, and not {expected!r}"


def _sample(text: str, name: str) -> float | None:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    return float(found[1]) if found else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
