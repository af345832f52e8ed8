"""What people see: the hop of the trail, Start, Deliveries, the project, metrics and the alert."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.confirmation.tables import confirmation_sources
from app.store import utc_now
from tests.alert_steps import evaluate, only, rule_now, titles
from tests.confirmation.steps import SETTINGS, ask_until, capture, rows, task_of
from tests.conftest import csrf_token, parts_of
from tests.contract_sentry import GROUP, TOKEN, ContractSentry
from tests.delivery_steps import deliver

Login = Callable[[FlaskClient], FlaskClient]
pytestmark = pytest.mark.one_database


def hop(client: FlaskClient, event_id: str) -> dict[str, Any]:
    trail = client.get(f"/api/events/{event_id}").json["trail"]
    return next((hop for hop in trail if hop["hop"] == "confirmed"), {})


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_trail_says_whether_sentry_shows_the_event(
    make_app: Callable[..., Flask], contract: ContractSentry, clock: Any, login: Login
) -> None:
    contract.swallows = lambda number: number == 2
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    client, task = app.test_client(), task_of(app)
    shown, lost = capture(1)[0], ""
    deliver(app)
    task.work()
    assert hop(client, shown)["detail"] == "not yet: asked soon"
    [lost] = capture(1, "other")
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(seconds=40))
    assert hop(client, shown)["ok"] is True
    page = f"{contract.url}/organizations/acme/issues/{GROUP}/events/{shown}/"
    assert client.get(f"/api/events/{shown}").json["delivery"]["url"] == page
    assert hop(client, lost)["detail"].startswith("not yet: asked again at 12:0")
    with parts_of(app).store.write() as conn:
        conn.execute(update(confirmation_sources).values(cause="401: no"))
    assert hop(client, lost)["detail"] == "cannot ask: 401: no"
    ask_until(app, task, clock, utc_now() + timedelta(minutes=16))
    found = hop(client, lost)
    assert (found["ok"], found["detail"][:8]) == (False, "missing:")
    person = login(client)
    assert page in person.get(f"/admin/events/{shown}").text
    assert "missing: Sentry accepted it" in person.get(f"/admin/events/{lost}").text
    for envelope_id in (1, 2):
        assert "confirmed" in person.get(f"/admin/deliveries/{envelope_id}").text
    start = text_of(person.get("/admin/").text)
    assert "Sentry accepted 1 event that it does not show" in start and "1 of 2" in start
    deliveries = person.get("/admin/deliveries").text
    assert lost in deliveries and "1 of 2 missing in Sentry" in text_of(deliveries)
    metrics = client.get("/metrics").text
    assert 'devenviro_confirmations{project="1",state="missing"} 1' in metrics
    assert 'devenviro_confirmations_total{state="confirmed"} 1' in metrics
    contract.show(lost)
    ask_until(app, task, clock, utc_now() + timedelta(minutes=30))
    assert "Sentry has all 2, 2 of 2 samples confirmed" in text_of(person.get("/admin/").text)


def test_without_a_token_the_trail_says_which_setting_is_missing(
    make_app: Callable[..., Flask], contract: ContractSentry
) -> None:
    app = make_app(SENTRY_DSN=contract.dsn)
    [event_id] = capture(1)
    client = app.test_client()
    assert hop(client, event_id) == {}, "it is not accepted yet"
    deliver(app)
    assert hop(client, event_id)["detail"] == "cannot ask: no token: SENTRY_API_TOKEN is not set"


def test_alert_names_what_is_missing_and_says_when_it_has_recovered(
    make_app: Callable[..., Flask], contract: ContractSentry, clock: Any
) -> None:
    contract.swallows = lambda number: number == 1
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    rule, task = only(app, "unconfirmed"), task_of(app)
    lost, _ = capture(1)[0], deliver(app)
    evaluate(app)
    assert rule_now(app, rule).state == "no_data"
    ask_until(app, task, clock, utc_now() + timedelta(minutes=16))
    evaluate(app)
    [title] = titles(app)
    assert title == "Sentry accepts but does not show: 1 of 1 events are missing"
    assert lost in str(rule_now(app, rule).detail)
    # While nothing answers, nobody is told that it has recovered.
    clock.shift(timedelta(hours=3))
    evaluate(app)
    assert rule_now(app, rule).state == "firing" and len(titles(app)) == 1
    capture(1, "later")
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(minutes=2))
    evaluate(app)
    assert rule_now(app, rule).state == "ok"
    assert titles(app)[1:] == ["Recovered: Confirmed by Sentry"]


def test_form_of_a_project_keeps_its_token_until_it_is_removed(
    make_app: Callable[..., Flask], login: Login
) -> None:
    app = make_app()
    person = login(app.test_client())
    dsn = "https://key@sentry.example/7"
    person.post("/api/projects", json={"name": "Shop", "upstream_dsn": dsn})
    path = "/admin/projects/2"

    def save(**fields: str) -> Any:
        data = {"csrf_token": csrf_token(person, path), **fields}
        return person.post(f"{path}/api", data=data)

    def token() -> str | None:
        with parts_of(app).store.read() as conn:
            return parts_of(app).destinations.find(conn, 2).api.token

    assert "its project has no API token" in person.get(path).text
    assert save(upstream_api_token=TOKEN, upstream_org="acme").status_code == 303
    page = person.get(path).text
    assert TOKEN not in page and 'value="acme"' in page and token() == TOKEN
    assert save(upstream_org="other").status_code == 303 and token() == TOKEN
    wrong = save(upstream_org="a b")
    assert wrong.status_code == 422 and "A slug or a number is expected" in unescape(wrong.text)
    assert save(upstream_org="other", remove_token="yes").status_code == 303 and token() is None


def test_verify_waits_until_sentry_shows_its_exception(
    make_app: Callable[..., Flask], contract: ContractSentry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.cli.verify import confirmation

    contract.delay_s = 0.0
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    answer = app.test_cli_runner().invoke(args=["verify", "--confirm"])
    assert "Sentry shows event" in answer.output, answer.output
    monkeypatch.setattr(confirmation, "WAIT_S", 0.0)
    contract.swallows = lambda number: True
    app = make_app(SENTRY_DSN=contract.dsn)
    answer = app.test_cli_runner().invoke(args=["verify", "--confirm"])
    assert "cannot ask: no token" in answer.output
    assert rows(app) == {}, "only the background task writes rows"
