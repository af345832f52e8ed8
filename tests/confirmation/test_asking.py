"""Sentry is asked whether it shows what it accepted: what it lost is named, nothing else is."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, Response, redirect
from sqlalchemy import select

from app.confirmation import client as asking_client
from app.confirmation.tables import confirmation_apis, confirmation_sources
from app.delivery.actions import replay_one
from app.store import utc_now
from tests.confirmation.steps import (
    SETTINGS,
    ask_until,
    capture,
    keep_others_away,
    repeat,
    rows,
    states,
    task_of,
)
from tests.conftest import parts_of
from tests.contract_sentry import TOKEN, ContractSentry
from tests.delivery_steps import accounting_of, deliver

MakeApp = Callable[..., Flask]


def test_every_event_that_sentry_swallows_is_named_within_16_minutes_and_no_other(
    make_app: MakeApp, contract: ContractSentry, clock: Any
) -> None:
    contract.swallows = lambda number: number % 10 == 0
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    task = task_of(app, canaries=True)
    captured = capture(30)
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(minutes=16))
    found = states(app)
    assert set(found) == set(captured)
    assert len(contract.swallowed) == 3
    assert {one for one, state in found.items() if state == "missing"} == contract.swallowed
    assert {state for one, state in found.items() if one not in contract.swallowed} == {"confirmed"}
    assert max(contract.times().values()) <= 2  # One a second, which two seconds of a clock share.
    # In the hours after that nothing happens: canaries are sent and asked about, and none is lost.
    contract.swallows = lambda number: number == 32
    ask_until(app, task, clock, utc_now() + timedelta(hours=3))
    made = {one: row for one, row in rows(app).items() if row.kind == "canary"}
    lost = {one for one in made if one in contract.swallowed}
    assert len(made) == 3 and len(lost) == 1
    assert {one for one, row in made.items() if row.state == "missing"} == lost
    assert accounting_of(app)["accepted"] == 30, "a canary is no envelope of ours"


def test_missing_event_that_comes_later_is_confirmed(
    make_app: MakeApp, contract: ContractSentry, clock: Any
) -> None:
    contract.swallows = lambda number: True
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    task, [event_id] = task_of(app), capture(1)
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(minutes=16))
    assert states(app) == {event_id: "missing"}
    contract.show(event_id)
    ask_until(app, task, clock, utc_now() + timedelta(minutes=30))
    assert states(app) == {event_id: "confirmed"}
    # Whoever asked often did so ever more rarely.
    assert len([path for _, path in contract.asked if "/events/" in path]) <= 10


def test_of_repeated_errors_one_in_five_minutes_is_asked_about(
    make_app: MakeApp, contract: ContractSentry, clock: Any
) -> None:
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    task = task_of(app)
    for _ in range(4):
        for _ in range(3):
            repeat()
        deliver(app)
        task.work()
        clock.shift(timedelta(minutes=3))
    kinds = sorted(row.kind for row in rows(app).values())
    assert kinds == ["first", "sample", "sample"]


def test_event_that_sentry_said_it_limits_is_not_called_missing(
    make_app: MakeApp, contract: ContractSentry, clock: Any
) -> None:
    def accepts_and_limits(envelope: Any) -> Response:
        body = json.dumps({"id": envelope.headers["event_id"]})
        return Response(body, headers={"X-Sentry-Rate-Limits": "60:error:organization"})

    contract.answer = accepts_and_limits
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    task, [event_id] = task_of(app), capture(1)
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(minutes=17))
    row = rows(app)[event_id]
    assert row.state == "unknown" and "rate limit" in row.reason


def test_what_was_never_accepted_is_never_asked_about(
    make_app: MakeApp, contract: ContractSentry, clock: Any
) -> None:
    contract.answer = lambda envelope: Response("{}", 400)
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    task = task_of(app)
    capture(2)
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(minutes=1))
    assert rows(app) == {} and contract.asked == []


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"SENTRY_API_TOKEN": "another-token"}, "401: the API token is not valid"),
        ({"SENTRY_ORG": "another"}, "404: the organization or the project does not exist there"),
    ],
)
def test_wrong_token_or_organization_is_the_cause_and_no_event_is_missing(
    make_app: MakeApp,
    contract: ContractSentry,
    clock: Any,
    settings: dict[str, str],
    cause: str,
) -> None:
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS | settings)
    task, [event_id] = task_of(app), capture(1)
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(minutes=20))
    assert states(app) == {event_id: "open"}
    with parts_of(app).store.read() as conn:
        found = conn.execute(select(confirmation_sources)).one()
    assert found.cause.startswith(cause)
    assert len(contract.asked) <= 12, "a wrong token is tried every five minutes"


def html(path: str) -> Any:
    return "<html>log in</html>"


def of_another_event(path: str) -> Any:
    return {"id": "ab" * 16, "eventID": "ab" * 16} if "/events/" in path else None


def huge(path: str) -> Any:
    return Response((b"[" * 65536 for _ in range(200)), content_type="application/json")


def packed(path: str) -> Any:
    return Response(gzip.compress(b"[" * 10**7), headers={"Content-Encoding": "gzip"})


def elsewhere(path: str) -> Any:
    return redirect(f"/api/1/{path}")


def failing(path: str) -> Any:
    return {"detail": "Internal Error"}, 500


@pytest.mark.one_database
@pytest.mark.parametrize("lie", [html, of_another_event, huge, packed, elsewhere, failing])
def test_api_that_lies_confirms_nothing_and_misses_nothing(
    make_app: MakeApp, contract: ContractSentry, clock: Any, lie: Any
) -> None:
    contract.lie = lie
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    task, [event_id, *_] = task_of(app), capture(2)
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(minutes=20))
    assert set(states(app).values()) == {"open"}
    assert accounting_of(app)["accepted"] == 2, "errors of asking are no events"
    assert all(path.startswith("projects/") for _, path in contract.asked)
    contract.lie = None
    ask_until(app, task, clock, utc_now() + timedelta(minutes=30))
    assert states(app)[event_id] == "confirmed"


def test_429_is_obeyed_until_the_time_that_it_names(
    make_app: MakeApp, contract: ContractSentry, clock: Any
) -> None:
    contract.left = 2
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    task = task_of(app)
    capture(5)
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(seconds=40))
    assert len(contract.asked) == 3
    with parts_of(app).store.read() as conn:
        assert conn.execute(select(confirmation_apis)).one().cause.startswith("429: asked to wait")
    contract.left = None
    ask_until(app, task, clock, utc_now() + timedelta(minutes=2))
    assert contract.asked[3][0] - contract.asked[2][0] >= 59
    assert set(states(app).values()) == {"confirmed"}


def test_another_process_that_asks_counts_too(
    make_app: MakeApp, contract: ContractSentry, clock: Any
) -> None:
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    task = task_of(app)
    contract.swallows = lambda number: True
    capture(2)
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(seconds=30))
    before = len(contract.asked)
    keep_others_away(app, utc_now() + timedelta(minutes=5))
    ask_until(app, task, clock, utc_now() + timedelta(minutes=2))
    assert len(contract.asked) == before > 0


@pytest.mark.one_database
def test_api_that_hangs_delays_neither_events_nor_delivery(
    make_app: MakeApp, contract: ContractSentry, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(asking_client, "DEADLINE_S", 1)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        app = make_app(SENTRY_DSN=contract.dsn, SENTRY_API_URL=url, **SETTINGS)
        task = task_of(app)
        capture(2)
        deliver(app)
        task.work()
        clock.shift(timedelta(seconds=16))
        task.work()
    with parts_of(app).store.read() as conn:
        assert conn.execute(select(confirmation_apis)).one().cause == "no answer in time"
    assert capture(1, "later") and set(states(app).values()) == {"open"}


def test_token_is_sent_to_its_api_alone(
    make_app: MakeApp, contract: ContractSentry, clock: Any
) -> None:
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    task = task_of(app)
    capture(1)
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(seconds=20))
    assert set(contract.tokens) == {f"Bearer {TOKEN}"}
    assert all(TOKEN not in str(sent) for sent in contract.headers)


def test_event_that_is_sent_again_is_asked_about_again(
    make_app: MakeApp, contract: ContractSentry, clock: Any
) -> None:
    contract.swallows = lambda number: True
    app = make_app(SENTRY_DSN=contract.dsn, **SETTINGS)
    task, [event_id] = task_of(app), capture(1)
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(minutes=16))
    parts = parts_of(app)
    replay_one(parts.store, parts.destinations, 1, "a person", force=True)
    deliver(app)
    task.work()
    row = rows(app)[event_id]
    assert row.state == "open" and utc_now() - row.accepted_at < timedelta(minutes=1)
