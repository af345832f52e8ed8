"""Losses: what clients report and what is refused, by SDK and reason: page, API and alert."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.alerts.rules.losses import ClientLosses
from app.insights.loss_reasons import INTENDED, meaning_of
from app.insights.losses import Selection, lines_of
from app.intake.retention import Limits, prune
from app.projects import create_project
from app.projects.quotas import REASONS
from app.protocol import client_report
from app.protocol.envelope import Envelope, Item
from app.protocol.sdk_name import Sdk
from app.stats import losses as stats
from app.stats.additive import OTHER
from app.stats.losses import LOSSES, Lost, WaitingLosses, loss_series, tally_of
from tests.alert_steps import evaluate, only, rule_now, titles
from tests.conftest import parts_of

KEY, SHOP = "a" * 32, 7
PATH = f"/api/{SHOP}/envelope/"
AUTH = {"X-Sentry-Auth": f"Sentry sentry_key={KEY}, sentry_client=sentry.php/4.0"}
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
OF_PYTHON = {"name": "sentry.python", "version": "2.75.0"}
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture(autouse=True)
def shop(app: Flask) -> None:
    create_project(parts_of(app).store, "Shop", SHOP, KEY)


def report(app: Flask, *entries: tuple[str, str, int], sdk: Any = OF_PYTHON) -> None:
    names = ("reason", "category", "quantity")
    payload = {"discarded_events": [dict(zip(names, one, strict=True)) for one in entries]}
    envelope = Envelope({"sdk": sdk}, [Item({"type": "client_report"}, payload)])
    parts_of(app).intake.accept(envelope, project_id=SHOP, timeout_s=10)


def lines(client: FlaskClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/api/losses", query_string={"project_id": SHOP, **query})
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json["losses"]
    return found


def test_losses_are_listed_by_sdk_and_reason_what_was_not_intended_first(
    app: Flask, client: FlaskClient, login: Callable[[FlaskClient], FlaskClient]
) -> None:
    report(app, ("sample_rate", "transaction", 900), ("queue_overflow", "error", 17))
    report(app, ("queue_overflow", "error", 3), ("ratelimit_backoff", "error", 5))
    report(app, ("queue_overflow", "error", 4), sdk={"name": "sentry.go", "version": "1"})
    found = lines(client)
    assert [(one["sdk"], one["version"], one["reason"], one["quantity"]) for one in found] == [
        ("sentry.python", "2.75.0", "queue_overflow", 20),
        ("sentry.python", "2.75.0", "ratelimit_backoff", 5),
        ("sentry.go", "1", "queue_overflow", 4),
        ("sentry.python", "2.75.0", "sample_rate", 900),
    ]
    assert [one["intended"] for one in found] == [False, False, False, True]
    assert "transport_queue_size=1000" in found[0]["remedy"]
    steps = lines(client, by="time", period="hour", limit=1000)
    assert len(steps) == 60 and sum(one["quantity"] for one in steps) == 29
    assert [one["quantity"] for one in lines(client, sdk="sentry.go")] == [4]
    page = login(client).get(f"/admin/losses?project={SHOP}").text
    for text in ("24 lost", "sentry.go", "2.75.0", "transport_queue_size=1000", "Left out on"):
        assert text in page, text
    narrowed = client.get(f"/admin/losses?project={SHOP}&reason=sample_rate").text
    assert "900 left out" in narrowed and "queue_overflow" not in narrowed


def test_refusals_have_the_sdk_that_is_known(app: Flask, client: FlaskClient) -> None:
    client.post(PATH, data=b"no envelope", headers=AUTH)
    unknown = {"X-Sentry-Auth": f"Sentry sentry_key={'0' * 32}", "User-Agent": "sentry.java/7.1"}
    client.post(PATH, data=b"{}", headers=unknown)
    client.post("/api/99/envelope/", data=b"{}", headers=unknown)
    parts_of(app).intake.flush()
    found = {one["reason"]: one for one in lines(client)}
    assert found.keys() == {"malformed", "unknown_key"}
    malformed, other = found["malformed"], found["unknown_key"]
    assert (malformed["sdk"], malformed["version"]) == ("sentry.php", "4.0")
    assert (other["sdk"], other["version"], other["category"]) == ("sentry.java", "7.1", "unread")
    assert other["source"] == "refused" and other["words"] == "The key is unknown or revoked."


def test_what_is_over_the_quota_counts_once_whoever_refuses_it(
    app: Flask, client: FlaskClient
) -> None:
    parts = parts_of(app)
    with time_machine.travel(NOON, tick=False):
        client.patch(f"/api/projects/{SHOP}", json={"events_per_minute": 2})
        for _ in range(6):  # The third one is refused in the transaction, the others before it.
            body = b'{"sdk":{"name":"sentry.python","version":"2.75.0"}}\n{"type":"event"}\n{}'
            client.post(PATH, data=body, headers=AUTH)
        parts.intake.flush()
        [line] = lines(client)
    assert (line["reason"], line["category"], line["quantity"]) == ("quota", "error", 4)
    assert line["sdk"] == "sentry.python"


def test_names_that_a_client_invents_are_bounded(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOSSES, "max_series", 3)
    for number in range(9):
        report(app, (f"reason_{number}", f"c{number}", 2), sdk={"name": f"sdk{number}"})
    found = lines(client)
    assert sum(one["quantity"] for one in found) == 18 and len(found) == 4
    assert found[0]["sdk"] == OTHER and found[0]["quantity"] == 12
    assert found[0]["words"] == "This service does not know the reason."


def test_losses_beyond_the_limit_keep_their_reason_so_that_intended_ones_alert_nobody(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOSSES, "max_series", 1)
    rule = only(app, "client_losses", project_id=SHOP, threshold=10, window_minutes=15)
    report(app, ("invented", "error", 1))
    report(app, ("sample_rate", "error", 500), ("before_send", "error", 500))
    report(app, ("queue_overflow", "span", 500), ("queue_overflow", "error", 7))
    client.post(PATH, data=b"nonsense", headers=AUTH)
    parts_of(app).intake.flush()
    found = {(one["reason"], one["category"]): one["quantity"] for one in lines(client)}
    assert found == {
        ("invented", "error"): 1,
        ("sample_rate", "error"): 500,
        ("before_send", "error"): 500,
        ("queue_overflow", OTHER): 500,
        ("queue_overflow", "error"): 7,
        ("malformed", OTHER): 1,
    }
    evaluate(app)
    assert titles(app) == [] and "Clients lost 8 events" in (rule_now(app, rule).detail or "")


def test_refusals_that_wait_are_bounded_and_none_is_lost(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "MAX_WAITING", 3)
    waiting = WaitingLosses()
    for number in range(10):
        waiting.add(SHOP, Lost("refused", Sdk(f"sdk{number}"), "quota", "error"))
    taken = waiting.take()
    assert len(taken) == 4 and sum(taken.values()) == 10
    waiting.give_back(taken)
    assert waiting.take() == taken
    assert len(tally_of(taken)) == 4


def test_hostile_names_are_shown_as_text(
    app: Flask, client: FlaskClient, login: Callable[[FlaskClient], FlaskClient]
) -> None:
    report(app, ("queue_overflow", HOSTILE, 1), (HOSTILE, "error", 1), sdk={"name": HOSTILE})
    query = {"project": SHOP, "sdk": HOSTILE, "reason": HOSTILE}
    login(client)
    for asked in ({"project": SHOP}, query):
        answer = client.get("/admin/losses", query_string=asked)
        assert answer.status_code == 200 and HOSTILE not in answer.text


@pytest.mark.parametrize("query", [{"period": "year"}, {"source": "x"}, {"limit": 0}, {"a": 1}])
def test_wrong_query_is_refused_by_its_field(client: FlaskClient, query: dict[str, Any]) -> None:
    answer = client.get("/api/losses", query_string=query)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] in query


def test_every_reason_of_a_refusal_has_words_and_a_remedy() -> None:
    for reason in REASONS:
        meaning = meaning_of("refused", reason)
        assert meaning.words.endswith(".") and meaning.remedy.endswith(".")
    unknown = meaning_of("client", "invented")
    assert all(meaning_of("client", reason) != unknown for reason in client_report.REASONS)
    assert client_report.REASONS >= INTENDED


def test_minutes_become_hours_and_old_losses_go(app: Flask) -> None:
    store = parts_of(app).store
    with time_machine.travel(NOON - timedelta(days=5), tick=False) as clock:
        for _ in range(3):
            report(app, ("queue_overflow", "error", 2))
            clock.shift(timedelta(minutes=7))
    selection = Selection(SHOP, NOON - timedelta(days=6), NOON)
    with time_machine.travel(NOON, tick=False) as clock:
        prune(store, Limits(days=0, events=0, bytes=0))
        with store.read() as conn:
            assert [one.quantity for one in lines_of(conn, selection)] == [6]
            assert conn.scalar(select(func.count()).select_from(stats.loss_counts)) == 1
        clock.shift(timedelta(days=91))
        prune(store, Limits(days=0, events=0, bytes=0))
    with store.read() as conn:
        assert conn.scalar(select(func.count()).select_from(loss_series)) == 0


def test_alert_tells_when_clients_lose_events_and_when_it_is_over(app: Flask) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        rule = only(app, "client_losses", project_id=SHOP, threshold=10, window_minutes=15)
        report(app, ("sample_rate", "error", 500), ("queue_overflow", "span", 500))
        report(app, ("queue_overflow", "error", 10))
        evaluate(app)
        assert titles(app) == [] and rule_now(app, rule).state == "ok"
        report(app, ("network_error", "transaction", 1))
        clock.shift(timedelta(minutes=1))
        evaluate(app)
        assert titles(app) == ["Clients lost 11 events"]
        detail = rule_now(app, rule).detail or ""
        assert "queue_overflow 10, network_error 1" in detail
        for minutes in (15, 1, 1):
            clock.shift(timedelta(minutes=minutes))
            evaluate(app)
        assert titles(app) == ["Clients lost 11 events", f"Recovered: {ClientLosses.label}"]
        # It comes back during the cool-down: nothing is told, neither that nor its end.
        report(app, ("network_error", "error", 99))
        clock.shift(timedelta(minutes=1))
        evaluate(app)
        clock.shift(timedelta(minutes=17))
        evaluate(app)
        assert len(titles(app)) == 2
