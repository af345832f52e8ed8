"""A known stream of events and of what people do meanwhile: every figure against its own count."""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from app.insights.releases import (
    ReleaseError,
    announce,
    count_releases,
    figures_of,
    list_releases,
    subject_of,
)
from app.intake.remembered import Remembered, see_releases
from app.issues import triage
from app.issues.by_release import issues_of_release
from app.issues.queries import list_issues
from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from app.stats import releases as releases_module
from app.stats.releases import Release, ReleaseRecorder, release_of
from app.stats.tables import releases
from app.stats.users import ISSUE, Subject, day_number, users_by_day
from app.store import Store, utc_now
from tests.conftest import parts_of
from tests.insights.stream import Request
from tests.insights.visits import envelope, group

SHOP = 7
START = datetime(2026, 11, 10, 8, 0, tzinfo=UTC)


@pytest.fixture
def store(app: Flask) -> Iterator[Store]:
    store = parts_of(app).store
    create_project(store, "Shop", SHOP, "a" * 32)
    yield store


def send(
    app: Flask, bug: str, release: Any = None, user: Any = None, project_id: int = SHOP
) -> str:
    event_id = uuid.uuid4().hex
    payload: dict[str, Any] = {"message": bug, "fingerprint": [bug], "release": release}
    if user is not None:
        payload["user"] = {"id": user}
    envelope = Envelope({"event_id": event_id}, [Item({"type": "event"}, payload)])
    parts_of(app).intake.accept(envelope, project_id=project_id, timeout_s=10)
    return event_id


def known(store: Store, project_id: int = SHOP) -> list[str]:
    """The releases of a project, the oldest first."""
    with store.read() as conn:
        return [row.version for row in list_releases(conn, project_id, limit=5000)][::-1]


# ---- an independent count -----------------------------------------------------------------------


@dataclass
class Bug:
    """What the model knows of one issue."""

    status: str = "unresolved"
    # How many releases there were that may still have it.
    after: int | None = None
    resolved_in: str | None = None
    users: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))


@dataclass
class Model:
    """Counts the stream with lists and sets, and none of the service's code."""

    order: list[str] = field(default_factory=list)
    bugs: dict[str, Bug] = field(default_factory=dict)
    new: dict[str | None, set[str]] = field(default_factory=lambda: defaultdict(set))
    regressed: dict[str | None, set[str]] = field(default_factory=lambda: defaultdict(set))
    users: dict[str | None, dict[int, set[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )

    def appears(self, release: str | None) -> None:
        if release is None or release in self.order:
            return
        self.order.append(release)
        for bug in self.bugs.values():
            if bug.status == "resolved" and bug.after is not None and bug.resolved_in is None:
                bug.resolved_in = release

    def event(self, name: str, release: str | None, user: str | None, day: int) -> None:
        self.appears(release)
        if name not in self.bugs:
            self.bugs[name] = Bug()
            self.new[release].add(name)
        bug = self.bugs[name]
        if bug.status == "resolved" and (
            bug.after is None or (release and self.order.index(release) >= bug.after)
        ):
            self.regressed[release].add(name)
            bug.status, bug.after, bug.resolved_in = "unresolved", None, None
        if user:
            bug.users[day].add(user)
            self.users[release][day].add(user)

    def resolve(self, name: str, after: int | None, resolved_in: str | None) -> None:
        bug = self.bugs[name]
        bug.status, bug.after, bug.resolved_in = "resolved", after, resolved_in


def in_all(by_day: dict[int, set[str]]) -> int:
    return len(set().union(*by_day.values()))


def play(app: Flask, store: Store, model: Model, seed: int, count: int = 260) -> None:
    """Play a stream of nine days to both."""
    chance = random.Random(seed)
    versions = ["shop@1", "shop/web@2+b", "0a" * 20, "v" * 250, "shop@10", "shop@9"]
    for number in range(count):
        day = number * 9 // count
        with time_machine.travel(START + timedelta(days=day, seconds=number), tick=False):
            if number % 9 == 8 and model.bugs:
                act(store, model, chance)
                continue
            # Old releases go on, new ones come; some events name none, some name no user.
            release = chance.choice([*versions[: 2 + day // 2], None])
            bug = f"bug {chance.randrange(2 + day)}"
            user = chance.choice([None, *(f"u{one}" for one in range(12))])
            send(app, bug, release, user)
            model.event(bug, release, user, day_number(utc_now()))


def act(store: Store, model: Model, chance: random.Random) -> None:
    """Do what a person or a deployment does."""
    name, what = chance.choice(sorted(model.bugs)), chance.randrange(8)
    with store.write() as conn:
        if what == 7:
            version = f"announced@{len(model.order)}"
            announce(conn, SHOP, version, "ci", utc_now())
            model.appears(version)
            return
        (issue_id,) = [issue.id for issue in list_issues(conn, limit=99) if issue.title == name]
        if what < 2:
            newest = model.order[-1] if model.order else None
            triage.resolve(conn, [issue_id], "ada")
            # What was resolved plainly already stays so.
            bug = model.bugs[name]
            if bug.status != "resolved" or bug.after is not None:
                model.resolve(name, None, newest)
        elif what < 5:
            triage.set_status(conn, [issue_id], "resolved", "ada", fix=triage.Fix(in_next=True))
            bug = model.bugs[name]
            if (bug.status, bug.after) != ("resolved", len(model.order)):
                model.resolve(name, len(model.order), None)
        elif model.order:
            version = chance.choice(model.order)
            fix = triage.Fix(version=version)
            triage.set_status(conn, [issue_id], "resolved", "ada", fix=fix)
            model.resolve(name, model.order.index(version), version)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_figure_of_a_known_stream_is_what_an_independent_count_gives(
    app: Flask, store: Store, seed: int
) -> None:
    model = Model()
    play(app, store, model, seed)
    assert known(store) == model.order
    first, last = day_number(START), day_number(START) + 8
    with store.read() as conn:
        figures = figures_of(conn, list_releases(conn, SHOP, limit=99), utc_now())
        for figure in figures:
            version = figure.row.version
            assert figure.issues.new == len(model.new[version]), version
            assert figure.issues.regressed == len(model.regressed[version]), version
            resolved = {name for name, bug in model.bugs.items() if bug.resolved_in == version}
            assert figure.issues.resolved == len(resolved), version
            assert figure.users == in_all(model.users[version]), version
            assert users_by_day(conn, subject_of(figure.row), first, last) == [
                len(model.users[version][day]) for day in range(first, last + 1)
            ], version
            found = issues_of_release(conn, SHOP, version, "resolved", 99)
            assert {issue.title for issue in found} == resolved
        # That this stream has something to count in each column.
        for column in ("new", "regressed", "resolved"):
            assert sum(getattr(figure.issues, column) for figure in figures)
        for issue in list_issues(conn, limit=99):
            bug = model.bugs[issue.title]
            assert (issue.status, issue.resolved_in) == (bug.status, bug.resolved_in)
            assert issue.users == in_all(bug.users)
            assert users_by_day(conn, Subject(ISSUE, issue.id), first, last) == [
                len(bug.users[day]) for day in range(first, last + 1)
            ]


# ---- how releases appear ------------------------------------------------------------------------


def test_release_appears_with_its_first_event_or_transaction_or_by_announcement(
    app: Flask, store: Store
) -> None:
    with store.write() as conn:
        row, is_new = announce(conn, SHOP, " shop@3 ", "ci", START)
    assert (row.version, is_new, row.first_seen, row.announced_at) == ("shop@3", True, None, START)
    with time_machine.travel(START, tick=False):
        send(app, "bug", "shop@1")
    with time_machine.travel(START + timedelta(hours=1), tick=False):
        parts_of(app).intake.accept(
            Request("/cart", "shop@2", 5.0, False).envelope("b" * 32), project_id=SHOP, timeout_s=5
        )
        send(app, "bug", "shop@3")
        send(app, "bug", "shop@1", project_id=1)
    assert known(store) == ["shop@3", "shop@1", "shop@2"]
    with store.read() as conn:
        two, one, three = list_releases(conn, SHOP)
    assert (one.first_seen, two.first_seen) == (START, START + timedelta(hours=1))
    assert (three.first_seen, three.announced_at) == (START + timedelta(hours=1), START)
    with store.write() as conn:
        row, is_new = announce(conn, SHOP, "shop@1", "ada", START + timedelta(days=1))
        again, _ = announce(conn, SHOP, "shop@1", "bob", START + timedelta(days=2))
    assert (is_new, row.first_seen, row.announced_by) == (False, START, "ada")
    assert again == row
    assert known(store)[0] == "shop@3"  # The order stays.


def test_own_requests_make_the_release_of_this_application(app: Flask, store: Store) -> None:
    assert app.test_client().get("/admin/login").status_code == 200
    parts_of(app).intake.flush()
    assert known(store, 1) == ["shop@1.2.3"]


def test_last_seen_is_written_once_a_minute_and_a_removed_release_is_made_again(
    store: Store,
) -> None:
    book, one = ReleaseRecorder(), Release(SHOP, "shop@1")

    def see(after: float) -> dict[Release, int]:
        with store.write() as conn:
            return book.see(conn, [one, None, one], START + timedelta(seconds=after)).made

    def last_seen() -> datetime:
        with store.read() as conn:
            return list_releases(conn, SHOP)[0].last_seen

    assert list(see(0)) == [one]
    assert not see(1)  # found, and remembered from here on
    assert not see(50) and last_seen() == START + timedelta(seconds=1)
    assert not see(62) and last_seen() == START + timedelta(seconds=62)
    with store.write() as conn:
        conn.execute(releases.delete())
    assert not see(100)
    assert list(see(130)) == [one]


def test_release_of_a_transaction_that_failed_is_made_by_the_next_one(store: Store) -> None:
    remembered, one = Remembered(), Release(SHOP, "shop@1")
    with pytest.raises(ZeroDivisionError), store.write() as conn:
        see_releases(conn, [one], remembered, START)
        raise ZeroDivisionError
    with store.write() as conn:
        assert see_releases(conn, [one], remembered, START).keys() == {one}
    assert known(store) == ["shop@1"]


def test_project_that_has_as_many_as_are_kept_loses_the_one_heard_of_longest_ago(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases_module, "MAX_RELEASES", 4)
    book = ReleaseRecorder()

    def see(minute: int, *versions: str) -> dict[Release, int]:
        with store.write() as conn:
            moment = START + timedelta(minutes=minute)
            return book.see(conn, [Release(SHOP, version) for version in versions], moment).ids

    with store.write() as conn:
        announce(conn, SHOP, "announced", "ci", START - timedelta(days=9))
        announce(conn, 1, "other project", "ci", START)
    see(0, "a", "b", "c")
    see(2, "a")
    see(4, "d")
    assert known(store) == ["announced", "a", "c", "d"]
    # A client that makes versions up takes all places but those of announced ones, and no more.
    ids = see(6, *(f"x{number}" for number in range(50)))
    assert len(ids) == 3 and len(known(store)) == 4 and known(store)[0] == "announced"
    assert known(store, 1) == ["other project"]
    with store.read() as conn:
        assert count_releases(conn, SHOP) == 4


def test_hostile_names_are_kept_as_releases_and_nothing_raises(app: Flask, store: Store) -> None:
    names = ["\ud800x\x00", "../../etc", "a" * 300, "' OR 1=1 --", "<script>", 10**30, 1.5]
    for name in [*names, None, "", "  ", [], {}, True]:
        send(app, "bug", name)
    assert len(known(store)) == len(names)
    assert all(0 < len(version) <= 250 for version in known(store))


@pytest.mark.parametrize("version", ["", "  ", "a" * 251, "a\nb", "a\x00", "\ud800", "\u202eb"])
def test_version_that_no_client_could_send_is_not_announced(store: Store, version: str) -> None:
    with pytest.raises(ReleaseError) as error, store.write() as conn:
        announce(conn, SHOP, version, "ci", START)
    assert error.value.field == "version"
    with pytest.raises(ReleaseError) as error, store.write() as conn:
        announce(conn, 77, "shop@1", "ci", START)
    assert error.value.field == "project_id"


# ---- what is shown beside each other ------------------------------------------------------------


def test_release_is_held_against_the_one_that_became_known_before_it(
    app: Flask, store: Store
) -> None:
    for version in ("shop@2", "shop@10", "shop@9"):
        send(app, "bug", version)
    ended = group("shop@2", exited=90, crashed=10), group("shop@10", exited=297, crashed=3)
    parts_of(app).intake.accept(envelope(*ended), project_id=SHOP, timeout_s=10)
    with store.read() as conn:
        rows = list_releases(conn, SHOP)
        nine, ten, two = figures_of(conn, rows, utc_now())
        (alone,) = figures_of(conn, rows[1:2], utc_now())
    assert [one.before and one.before.version for one in (nine, ten, two)] == [
        "shop@10", "shop@2", None,
    ]  # fmt: skip
    assert (nine.change, two.change) == (None, None)
    assert ten.change == pytest.approx(0.99 - 0.9)
    assert [one.share for one in (nine, ten, two)] == [0, 0.75, 0.25]
    assert alone == ten


def test_questions_find_releases_by_an_index(app: Flask, store: Store) -> None:
    send(app, "bug", "shop@1", "u")
    if not store.is_sqlite:
        pytest.skip("SQLite says what it scans")
    seen: list[str] = []
    with store.read() as conn:
        row = list_releases(conn, SHOP)[0]
        run = conn.connection.driver_connection.set_trace_callback
        run(seen.append)
        figures_of(conn, [row], utc_now())
        for what in ("new", "regressed", "resolved"):
            issues_of_release(conn, SHOP, "shop@1", what, 10)
        run(None)
        plans = [
            line[3]
            for statement in seen
            if statement.startswith("SELECT")
            for line in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
        ]
    assert len(seen) > 6
    # What a subquery found is read from end to end, tables are not.
    whole = [plan for plan in plans if plan.startswith("SCAN") and "SCAN anon_" not in plan]
    assert not whole, plans


def test_version_is_cut_as_it_is_everywhere() -> None:
    assert release_of(1, "v" * 300) == Release(1, "v" * 250)
    assert release_of(1, "") is None and release_of(1, None) is None


def test_rows_of_a_thousand_made_up_versions_in_one_envelope_are_one_statement(
    app: Flask, store: Store
) -> None:
    spans = [
        {"is_segment": True, "name": "x", "attributes": {"sentry.release": {"value": f"v{n}"}}}
        for n in range(1500)
    ]
    envelope = Envelope({}, [Item({"type": "span"}, {"items": spans})])
    parts_of(app).intake.accept(envelope, project_id=SHOP, timeout_s=30)
    with store.read() as conn:
        counted = conn.scalar(select(func.count()).select_from(releases))
    assert counted == releases_module.MAX_UNPROVEN


def test_releases_that_sessions_make_up_never_take_the_place_of_those_with_events(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases_module, "MAX_RELEASES", 20)
    monkeypatch.setattr(releases_module, "MAX_UNPROVEN", 8)
    book, real = ReleaseRecorder(), Release(SHOP, "real")
    with store.write() as conn:
        number = book.see(conn, [real], START, [real]).ids[real]
        announce(conn, SHOP, "announced", "ci", START)
    for minute in range(1, 12):
        moment = START + timedelta(minutes=10 * minute)
        made_up = [Release(SHOP, f"{minute}-{n}") for n in range(100)]
        with store.write() as conn:
            assert len(book.see(conn, made_up, moment).made) <= 8
    assert {"real", "announced"} <= set(known(store)) and len(known(store)) <= 20
    with store.write() as conn:
        assert book.see(conn, [real], START + timedelta(days=1)).ids[real] == number
        # Events take the places of what was made up, and then no place is left for that.
        named = [Release(SHOP, f"with-events-{n}") for n in range(18)]
        assert len(book.see(conn, named, START + timedelta(days=2), named).made) == 18
        made = book.see(conn, [Release(SHOP, "late")], START + timedelta(days=2)).made
    assert made == {} and {"real", "announced"} <= set(known(store))


def test_release_that_an_event_names_after_a_session_is_as_good_as_any(
    app: Flask, store: Store
) -> None:
    def send(type: str, payload: dict[str, object]) -> None:
        envelope = Envelope({}, [Item({"type": type}, payload)])
        parts_of(app).intake.accept(envelope, project_id=SHOP, timeout_s=10)

    def with_events() -> list[str]:
        with store.read() as conn:
            of = releases.c.project_id == SHOP, releases.c.has_events
            return list(conn.scalars(select(releases.c.version).where(*of)))

    attributes = {"release": "shop@1"}
    send("session", {"sid": "a" * 32, "init": True, "status": "ok", "attrs": attributes})
    assert known(store) == ["shop@1"] and with_events() == []
    send("event", {"message": "x", "release": "shop@1"})
    assert with_events() == ["shop@1"]
