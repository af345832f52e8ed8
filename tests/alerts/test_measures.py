"""What is measured: told beyond its threshold, quiet below, plain where nothing is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import update

from app.alerts.rules.changes import ensure_presets
from app.alerts.rules.kind import KINDS
from app.alerts.rules.rates import Figure
from app.alerts.rules.spike import Spike
from app.alerts.rules.stored import list_rules
from app.delivery.tables import counters, destinations
from app.events.tables import envelopes
from app.intake.store_bound import StoreBound
from app.projects import create_project, projects
from app.protocol.envelope import Item, serialize_envelope
from tests.alert_steps import add_rule, evaluate, only, rule_now, store_events, titles
from tests.conftest import parts_of
from tests.insights.stream import Request
from tests.insights.visits import Update, envelope, group
from tests.issues.payloads import calls

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DECLINED = calls("charge", value="declined")


def measured(monkeypatch: pytest.MonkeyPatch, kind: str, value: float, of: int) -> None:
    """Have a kind find this figure."""
    monkeypatch.setattr(type(KINDS[kind]), "figure", lambda *_: Figure(value, of))


def grow_old(app: Flask, days: int = 30) -> None:
    with parts_of(app).store.write() as conn:
        conn.execute(update(projects).values(created_at=NOON - timedelta(days=days)))


# ---- frequency ----------------------------------------------------------------------------------


def test_frequency_counts_one_issue_within_its_window(app: Flask) -> None:
    with time_machine.travel(NOON - timedelta(minutes=5), tick=False) as clock:
        rule = only(app, "frequency", threshold=4, window_minutes=10)
        store_events(app, DECLINED, DECLINED, *[calls("other", type="KeyError")] * 2)
        evaluate(app)
        assert titles(app) == []
        assert (rule_now(app, rule).state, rule_now(app, rule).value) == ("ok", 0)
        # Across the full hour, which is what the counters know.
        clock.shift(timedelta(minutes=9))
        store_events(app, DECLINED, DECLINED)
        evaluate(app)
        assert titles(app) == ["4 events or more within 10 minutes: ValueError: declined"]
        assert rule_now(app, rule).state == "firing"


def test_frequency_does_not_count_what_is_older_than_its_window(app: Flask) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        only(app, "frequency", threshold=4, window_minutes=10)
        for _ in range(2):
            store_events(app, DECLINED, DECLINED)
            clock.shift(timedelta(minutes=11))
        evaluate(app)
        assert titles(app) == []


def test_events_that_were_told_are_not_told_again(app: Flask) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        only(app, "frequency", threshold=2, window_minutes=60, cooldown_minutes=1)
        store_events(app, DECLINED, DECLINED)
        for _ in range(100):
            evaluate(app)
            clock.shift(timedelta(minutes=1))
        assert len(titles(app)) == 1


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({"environment": "live"}, True),
        ({"environment": "test"}, False),
        ({"release": "shop@1*"}, True),
        ({"release": "shop@2*"}, False),
        ({"type": "*error"}, True),
        ({"message": "accepted"}, False),
        ({"level": "fatal"}, False),
    ],
)
def test_frequency_is_narrowed(app: Flask, filters: dict[str, str], told: bool) -> None:
    only(app, "frequency", threshold=2, filters=filters)
    payload = {**DECLINED, "environment": "live", "release": "shop@1.2"}
    store_events(app, payload, payload, {**payload, "environment": "test", "release": "shop@2"})
    evaluate(app)
    assert bool(titles(app)) is told


def test_ignored_issue_is_not_told_however_often_it_is_seen(app: Flask, client: Any) -> None:
    only(app, "frequency", threshold=2)
    store_events(app, *[DECLINED] * 3)
    assert client.patch("/api/issues/1", json={"status": "ignored"}).status_code == 200
    evaluate(app)
    assert titles(app) == []


# ---- spikes -------------------------------------------------------------------------------------


def test_spike_is_held_against_the_same_hour_of_the_days_before(app: Flask) -> None:
    with time_machine.travel(NOON - timedelta(days=3), tick=False) as clock:
        grow_old(app)
        rule = only(app, "spike", threshold=3, minimum=2)
        for _ in range(3):
            store_events(app, *[DECLINED] * 4)
            clock.shift(timedelta(hours=23))
            store_events(app, *[DECLINED] * 20)  # Of another hour.
            clock.shift(timedelta(hours=1))
        # Usual is the median of seven days: four without any, three with four.
        store_events(app, DECLINED)
        evaluate(app)
        assert titles(app) == [] and rule_now(app, rule).state == "ok"
        store_events(app, *[DECLINED] * 5)
        clock.shift(timedelta(minutes=1))
        evaluate(app)
        assert titles(app) == ["Spike: 6 events this hour, usually 0"]


def test_usual_load_is_no_spike(app: Flask) -> None:
    with time_machine.travel(NOON - timedelta(days=7), tick=False) as clock:
        grow_old(app)
        only(app, "spike", threshold=3, minimum=2)
        for _ in range(7):
            store_events(app, *[DECLINED] * 5)
            clock.shift(timedelta(days=1))
        store_events(app, *[DECLINED] * 14)
        evaluate(app)
        assert titles(app) == []
        store_events(app, DECLINED)
        evaluate(app)
        # The rule was evaluated a moment ago, so this turn passes it over.
        assert titles(app) == []
        clock.shift(timedelta(minutes=1))
        evaluate(app)
        assert titles(app) == ["Spike: 15 events this hour, usually 5"]


def test_spike_of_a_new_project_is_not_known(app: Flask) -> None:
    rule = only(app, "spike", minimum=2)
    store_events(app, *[DECLINED] * 30)
    evaluate(app)
    assert titles(app) == [] and rule_now(app, rule).state == "no_data"


# ---- requests and sessions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "quiet", "loud", "title"),
    [
        ("error_rate", 5.0, 5.1, "Error rate of 5.1 %"),
        ("p95", 2000, 2001, "p95 of 2,001 ms"),
        ("crash_free", 99.0, 98.9, "98.90 % of sessions without a crash"),
    ],
)
def test_figure_is_told_beyond_its_threshold_only(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    quiet: float,
    loud: float,
    title: str,
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        rule = only(app, kind)
        measured(monkeypatch, kind, quiet, 1000)
        evaluate(app)
        assert (titles(app), rule_now(app, rule).state) == ([], "ok")
        clock.shift(timedelta(minutes=1))
        measured(monkeypatch, kind, loud, 5)
        evaluate(app)
        assert (titles(app), rule_now(app, rule).state) == ([], "no_data")
        assert "Too few to tell" in str(rule_now(app, rule).detail)
        clock.shift(timedelta(minutes=1))
        measured(monkeypatch, kind, loud, 1000)
        evaluate(app)
        assert (titles(app), rule_now(app, rule).state) == ([title], "firing")


@pytest.mark.parametrize("kind", ["error_rate", "p95", "crash_free"])
def test_figure_that_nobody_measures_is_no_data_in_words(app: Flask, kind: str) -> None:
    rule = only(app, kind)
    evaluate(app)
    now = rule_now(app, rule)
    assert (titles(app), now.state) == ([], "no_data") and "No data yet" in str(now.detail)


@pytest.mark.parametrize(
    ("kind", "said"), [("error_rate", "Error rate of 10.0 %"), ("p95", "p95 of ")]
)
def test_transactions_that_a_project_sends_are_what_is_measured(
    app: Flask, kind: str, said: str
) -> None:
    project = create_project(parts_of(app).store, "Shop")
    rule = only(app, kind, project_id=project.id)
    for number in range(100):
        request = Request("/cart", "1.0", ms=3000.0, failed=not number % 10)
        parts_of(app).intake.accept(
            request.envelope(f"{number:032x}"), project_id=project.id, timeout_s=10
        )
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
        evaluate(app)
    assert rule_now(app, rule).state == "firing"
    assert [title.startswith(said) for title in titles(app)] == [True]


def test_crashed_sessions_that_clients_tell_are_what_is_measured(
    app: Flask, client: FlaskClient
) -> None:
    project = create_project(parts_of(app).store, "Shop")
    door = f"/api/{project.id}/envelope/?sentry_key={project.keys[0]}"

    def tell(*items: Item) -> None:
        assert client.post(door, data=serialize_envelope(envelope(*items))).status_code == 200

    with time_machine.travel(NOON, tick=False) as clock:
        rule = only(app, "crash_free", project_id=project.id)
        tell(group(exited=98, errored=1), Update("a" * 32, status="ok").item())
        clock.shift(timedelta(minutes=1))
        evaluate(app)
        assert (titles(app), rule_now(app, rule).value) == ([], 100)
        tell(Update("a" * 32, status="crashed").item())
        clock.shift(timedelta(minutes=1))
        evaluate(app)
        assert (titles(app), rule_now(app, rule).value) == ([], 99)  # Not below its threshold.
        tell(Update("b" * 32, status="crashed").item())
        clock.shift(timedelta(minutes=1))
        evaluate(app)
    assert titles(app) == ["98.02 % of sessions without a crash"]
    assert rule_now(app, rule).state == "firing"
    assert "of 101 sessions" in str(rule_now(app, rule).detail)


# ---- the pipeline -------------------------------------------------------------------------------


def test_old_envelope_in_the_outbox_is_told(app: Flask) -> None:
    only(app, "outbox_age", threshold=15)
    store_events(app, DECLINED)
    evaluate(app)
    old = datetime.now(UTC) - timedelta(minutes=16)
    with parts_of(app).store.write() as conn:
        conn.execute(update(envelopes).values(state="pending", received_at=old))
    add_rule(app, "outbox_age", threshold=60)
    evaluate(app)
    assert titles(app) == []  # The first was evaluated a moment ago; the second allows an hour.
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
        evaluate(app)
    assert titles(app) == ["An envelope has waited for Sentry for 17 minutes"]


def test_open_circuit_is_told_with_its_cause(make_app: Callable[..., Flask]) -> None:
    app = make_app(SENTRY_DSN="http://key@127.0.0.1:9/1")
    rule = only(app, "circuit_open", threshold=5)
    opened = datetime.now(UTC) - timedelta(minutes=6)
    with parts_of(app).store.write() as conn:
        conn.execute(
            destinations.insert().values(
                project_id=1, open_since=opened, cause="401: the key is wrong", limits={}
            )
        )
    evaluate(app)
    assert titles(app) == ["Sentry has taken nothing for 6 minutes"]
    assert "401: the key is wrong" in str(rule_now(app, rule).detail)


def test_full_disk_is_told(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = only(app, "disk", threshold=10)
    usage = shutil.disk_usage
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage(path)._replace(total=1000, free=99)
    )
    evaluate(app)
    assert titles(app) == ["9.9 % of the disk is free"]
    assert rule_now(app, rule).state == "firing"


def test_store_that_could_not_be_written_raises_the_disk_alert(app: Flask) -> None:
    only(app, "disk", threshold=0)
    parts_of(app).store.write_failed = True
    evaluate(app)
    assert titles(app) == ["The store could not be written"]


def test_full_store_raises_the_disk_alert(app: Flask) -> None:
    rule = only(app, "disk", threshold=0)
    intake = parts_of(app).intake
    intake.bound = StoreBound(intake.store, 1)  # What is there takes more than a byte.
    evaluate(app)
    assert "MAX_STORE_BYTES" in str(rule_now(app, rule).detail)
    assert rule_now(app, rule).state == "firing"


def test_books_that_do_not_balance_are_told(app: Flask) -> None:
    only(app, "books")
    store_events(app, DECLINED)
    with parts_of(app).store.write() as conn:
        conn.execute(counters.update().where(counters.c.name == "accepted").values(value=7))
    evaluate(app)
    assert titles(app) == ["The accounting of envelopes does not add up"]


# ---- all of them --------------------------------------------------------------------------------


def test_every_project_has_its_rules_from_the_start_and_they_stay_changed(app: Flask) -> None:
    store = parts_of(app).store
    ensure_presets(store)
    create_project(store, "Shop")
    ensure_presets(store)
    with store.read() as conn:
        own, shop = ([one.preset for one in list_rules(conn, id)] for id in (1, 2))
    recommended = ["new_errors", "regressions", "spike", "error_rate", "p95", "outbox_age"]
    recommended += [
        "circuit_open",
        "unconfirmed",
        "monitors",
        "client_losses",
        "new_issue_limit",
        "quota",
    ]
    assert shop == recommended and own == [*recommended, "disk", "books"]
    rule = only(app, "new_issue")
    ensure_presets(store)
    with store.read() as conn:
        assert [one.id for one in list_rules(conn) if one.enabled] == [rule.id]


def test_rule_that_cannot_be_evaluated_keeps_no_other_from_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = only(app, "spike")
    add_rule(app, "frequency", threshold=2)
    store_events(app, DECLINED, DECLINED)
    monkeypatch.setattr(Spike, "measure", lambda *_: 1 / 0)
    evaluate(app)
    assert len(titles(app)) == 1
    assert rule_now(app, broken).state == "no_data"


def test_hundred_rules_ask_no_more_than_a_few_questions_each(app: Flask) -> None:
    only(app, "frequency")
    for number in range(49):
        add_rule(app, "frequency", threshold=100 + number)
    store_events(app, DECLINED)
    asked: list[str] = []
    engine = parts_of(app).store._all()[0]
    sqlalchemy_event.listen(
        engine, "before_cursor_execute", lambda c, k, statement, *_: asked.append(statement)
    )
    evaluate(app)
    # The hours are summed once for all of them, and no issue has enough to be looked into.
    assert len(asked) < 20, asked
