"""Replay, discard, pause, resume: they hold, the counters move along, and nothing is sent twice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from app.accounts import SCOPES
from app.delivery import accounting, action_history, actions, outbox
from app.delivery.actions import DoesNotFit, Outcome, UnknownDelivery
from app.delivery.filter import DeliveryFilter, DeliverySelection
from app.delivery.ledger import find_delivery
from app.delivery.tables import client_reports
from app.protocol.envelope import Envelope
from app.store import utc_now
from tests.conftest import csrf_token, parts_of
from tests.delivery.shop import (
    accept,
    add_project,
    answering,
    park,
    rows_of,
    set_columns,
    states_of,
)
from tests.delivery_steps import accounting_of, deliver, forwarding
from tests.mini_sentry import MiniSentry
from tests.server_process import wait_for


@pytest.fixture
def shop(make_app: Callable[..., Flask], mini_sentry: MiniSentry) -> Iterator[Flask]:
    """Whatever a test does, the accounting adds up at its end."""
    app = make_app(
        SENTRY_DSN=mini_sentry.dsn, DELIVERY_BACKOFF_BASE_S=0.01, DELIVERY_BACKLOG_PER_S=0
    )
    yield app
    assert accounting_of(app)["balanced"] is True


def replay_one(app: Flask, envelope_id: int, **options: bool) -> None:
    parts = parts_of(app)
    actions.replay_one(parts.store, parts.destinations, envelope_id, "a test", **options)


def replay(app: Flask, force: bool = False, **filter: object) -> Outcome:
    parts = parts_of(app)
    chosen = DeliverySelection(**filter)
    return actions.replay(parts.store, parts.destinations, chosen, "a test", force=force)


def discard(app: Flask, **filter: object) -> Outcome:
    parts = parts_of(app)
    return actions.discard(parts.store, parts.destinations, DeliverySelection(**filter), "a test")


def owed(app: Flask) -> dict[str, int]:
    with parts_of(app).store.read() as conn:
        return {row.reason: row.quantity for row in conn.execute(client_reports.select())}


def test_history_names_the_token_and_the_person_of_each_action(
    shop: Flask, mini_sentry: MiniSentry, login: Callable[..., FlaskClient]
) -> None:
    park(shop, mini_sentry)
    envelope_id = rows_of(shop)[0].id
    token = parts_of(shop).accounts.create_token("night shift", SCOPES)
    client, bearer = shop.test_client(), {"Authorization": f"Bearer {token}"}

    def post(path: str, **body: object) -> None:
        answer = client.post(f"/api/deliveries/{path}", json=body, headers=bearer)
        assert answer.status_code == 200

    post(f"{envelope_id}/discard")
    post("replay", state="discarded")
    post("replay", state="parked")  # There is none: nothing was done.
    post("pause", project_id=1)
    csrf = {"csrf_token": csrf_token(login(client), "/admin/deliveries")}
    client.post(f"/admin/deliveries/{envelope_id}/discard", data=csrf)
    listed = client.get("/api/deliveries/actions", headers=bearer).json["actions"]
    assert [(one["actor"], one["kind"], one["envelopes"]) for one in listed] == [
        ("admin admin", "discarded", 1),
        ("token:night shift", "paused", 0),
        ("token:night shift", "replayed", 1),
        ("token:night shift", "discarded", 1),
    ]
    assert listed[2]["filter"] == {"state": "discarded"}
    page = client.get("/admin/deliveries").text
    assert page.count("<b>token:night shift</b>") == 3
    assert (
        "<b>token:night shift</b> discarded" in client.get(f"/admin/deliveries/{envelope_id}").text
    )
    one = client.get("/api/deliveries/actions?limit=1", headers=bearer).json
    assert (len(one["actions"]), one["next"]) == (1, str(listed[0]["id"]))


def test_history_of_actions_grows_old_and_is_bounded(
    shop: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, now = parts_of(shop).store, utc_now()
    with store.write() as conn:
        for days in (60, 3, 2, 1):
            action_history.Action("ada", "paused", now - timedelta(days=days)).note(conn, 0)
    action_history.prune_actions(store, now - timedelta(days=30))
    with store.read() as conn:
        assert len(action_history.list_actions(conn)) == 3
    monkeypatch.setattr(action_history, "MAX_KEPT", 2)
    action_history.prune_actions(store, None)
    with store.read() as conn:
        assert len(action_history.list_actions(conn)) == 2


def test_parked_envelope_that_is_replayed_is_delivered_and_keeps_its_ledger(
    shop: Flask, mini_sentry: MiniSentry
) -> None:
    park(shop, mini_sentry)
    envelope_id = rows_of(shop)[0].id
    replay_one(shop, envelope_id)
    row = rows_of(shop)[0]
    assert (row.state, row.reason, row.attempts, row.priority) == ("pending", None, 0, -1)
    assert row.settled_at is None and row.next_at is not None
    deliver(shop)
    with parts_of(shop).store.read() as conn:
        found = find_delivery(conn, envelope_id)
    assert found and [attempt.state for attempt in found.attempts] == ["delivered", "parked"]
    assert len(mini_sentry.event_ids()) == 1


@pytest.mark.parametrize(
    ("limit", "value"), [("BATCH_SIZE", 2), ("BATCH_SIZE", 5), ("BATCH_BYTES", 1)]
)
def test_all_parked_are_replayed_in_bites_and_others_are_left(
    shop: Flask,
    mini_sentry: MiniSentry,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: int,
) -> None:
    monkeypatch.setattr(f"app.delivery.actions.{limit}", value)
    accept(shop)
    deliver(shop)
    park(shop, mini_sentry, 5)
    assert replay(shop, state="parked") == Outcome(5)
    assert states_of(shop) == ["delivered"] + ["pending"] * 5
    deliver(shop)
    assert len(mini_sentry.event_ids()) == 6 == len(set(mini_sentry.event_ids()))


def test_replay_by_reason_takes_only_what_failed_so(shop: Flask, mini_sentry: MiniSentry) -> None:
    park(shop, mini_sentry, 2, detail="bad header")
    park(shop, mini_sentry, 1, detail="too deep")
    assert replay(shop, reason="bad header").done == 2
    assert states_of(shop) == ["pending", "pending", "parked"]


def test_filter_without_a_state_leaves_what_was_left_out_on_purpose(
    shop: Flask, mini_sentry: MiniSentry
) -> None:
    park(shop, mini_sentry)
    accept(shop, "given up")
    assert discard(shop, state="pending").done == 1
    accept(shop, "goes")
    deliver(shop)
    assert replay(shop, project_id=1) == Outcome(1)
    assert states_of(shop) == ["pending", "discarded", "delivered"]
    assert replay(shop, state="discarded").done == 1


def test_expired_envelope_that_is_replayed_never_expires_again(
    shop: Flask, mini_sentry: MiniSentry
) -> None:
    accept(shop)
    set_columns(shop, received_at=utc_now() - timedelta(days=30))
    before = utc_now() - timedelta(days=7)
    with parts_of(shop).store.write() as conn:
        assert outbox.expire(conn, before, utc_now()) == 1
    replay_one(shop, rows_of(shop)[0].id)
    with parts_of(shop).store.write() as conn:
        assert outbox.expire(conn, before, utc_now()) == 0
    deliver(shop)
    assert len(mini_sentry.event_ids()) == 1


def test_replayed_event_is_not_sampled_out_again(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    shop = make_app(SENTRY_DSN=mini_sentry.dsn, SENTRY_SAMPLE_RATE=0.0)
    accept(shop, "first")
    accept(shop, "first")
    deliver(shop)
    assert states_of(shop) == ["delivered", "discarded"]
    assert replay(shop, state="discarded").done == 1
    deliver(shop)
    assert states_of(shop) == ["delivered", "delivered"]
    assert accounting_of(shop)["discarded"] == {} and accounting_of(shop)["balanced"]


def test_local_envelopes_can_be_sent_once_there_is_a_dsn(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    shop = make_app()
    accept(shop)
    assert replay(shop, state="local") == Outcome(0, skipped=1)
    with pytest.raises(DoesNotFit, match="no DSN"):
        replay_one(shop, rows_of(shop)[0].id)
    assert states_of(shop) == ["local"]
    parts_of(shop).destinations.own_dsn = mini_sentry.dsn
    assert replay(shop, state="local") == Outcome(1)
    deliver(shop)
    assert states_of(shop) == ["delivered"] and accounting_of(shop)["balanced"]


def test_delivered_envelope_is_sent_again_only_by_force(
    shop: Flask, mini_sentry: MiniSentry
) -> None:
    accept(shop)
    deliver(shop)
    envelope_id = rows_of(shop)[0].id
    with pytest.raises(DoesNotFit, match="accepted"):
        replay_one(shop, envelope_id)
    assert replay(shop, ids=(envelope_id,)).done == 0
    replay_one(shop, envelope_id, force=True)
    deliver(shop)
    assert replay(shop, force=True, ids=(envelope_id,)).done == 1
    deliver(shop)
    assert len(mini_sentry.event_ids()) == 3 and len(set(mini_sentry.event_ids())) == 1


def test_unknown_envelope_is_named_as_such(shop: Flask) -> None:
    parts = parts_of(shop)
    for act in (actions.replay_one, actions.discard_one):
        for number in (0, 7, 2**63, 10**30):
            with pytest.raises(UnknownDelivery):
                act(parts.store, parts.destinations, number, "a test")


def test_discarded_envelope_is_not_sent_and_sentry_is_told_of_it(
    shop: Flask, mini_sentry: MiniSentry
) -> None:
    park(shop, mini_sentry)
    accept(shop)
    parts = parts_of(shop)
    for row in rows_of(shop):
        actions.discard_one(parts.store, parts.destinations, row.id, "a test")
    row = rows_of(shop)[0]
    assert (row.state, row.reason, row.next_at) == ("discarded", "by_person", None)
    assert accounting_of(shop)["discarded"] == {"by_person": 2} and owed(shop) == {"by_person": 2}
    with forwarding(shop):
        mini_sentry.wait_for(lambda server: len(server.envelopes) == 1)
    report = mini_sentry.envelopes[0].items[0]
    assert report.type == "client_report"
    assert report.payload["discarded_events"][0]["reason"] == "by_person"
    assert mini_sentry.event_ids() == []


def test_what_sentry_has_or_never_gets_is_not_discarded(
    shop: Flask, mini_sentry: MiniSentry
) -> None:
    add_project(shop, 2, None)
    accept(shop)
    deliver(shop)
    accept(shop, project_id=2)
    parts = parts_of(shop)
    for row in rows_of(shop):
        with pytest.raises(DoesNotFit):
            actions.discard_one(parts.store, parts.destinations, row.id, "a test")
    assert discard(shop, ids=tuple(row.id for row in rows_of(shop))).done == 0
    assert states_of(shop) == ["delivered", "local"]


# ---- what is on its way at that moment ----------------------------------------------------------


class Held:
    """A Sentry that answers when it is told to."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.arrived, self.released = threading.Event(), threading.Event()
        self.times = 0

    def __call__(self, envelope: Envelope) -> Response | None:
        self.times += 1
        self.arrived.set()
        assert self.released.wait(10)
        return None if self.status == 200 else answering(self.status)(envelope)


def test_envelope_that_is_being_sent_is_not_sent_a_second_time_by_a_replay(
    shop: Flask, mini_sentry: MiniSentry
) -> None:
    mini_sentry.answer = answering(503)
    accept(shop)
    with forwarding(shop):
        wait_for(lambda: states_of(shop) == ["retry"])
    mini_sentry.answer = held = Held(200)
    with forwarding(shop):
        assert held.arrived.wait(10)
        tries = rows_of(shop)[0].attempts
        replay_one(shop, rows_of(shop)[0].id)
        # Another one that is sent meanwhile shows that the forwarder had its turns.
        accept(shop, "another")
        wait_for(lambda: held.times == 2)
        assert rows_of(shop)[0].state == "pending" and rows_of(shop)[1].attempts == tries
        held.released.set()
        wait_for(lambda: states_of(shop) == ["delivered", "delivered"])
    assert held.times == 2 and len(mini_sentry.event_ids()) == 2


@pytest.mark.parametrize(("status", "state"), [(200, "delivered"), (503, "discarded")])
def test_discard_of_what_is_being_sent_holds_unless_sentry_takes_it(
    shop: Flask, mini_sentry: MiniSentry, status: int, state: str
) -> None:
    mini_sentry.answer = held = Held(status)
    accept(shop)
    with forwarding(shop):
        assert held.arrived.wait(10)
        assert discard(shop, state="pending").done == 1
        held.released.set()
        wait_for(lambda: attempts_of(shop) == 1)
    assert states_of(shop) == [state]


def test_replay_of_what_is_still_being_sent_takes_the_answer_that_comes(
    shop: Flask, mini_sentry: MiniSentry
) -> None:
    mini_sentry.answer = held = Held(400)
    accept(shop)
    with forwarding(shop):
        assert held.arrived.wait(10)
        discard(shop, state="pending")
        replay(shop, state="discarded")
        held.released.set()
        wait_for(lambda: attempts_of(shop) == 1)
    assert (states_of(shop), held.times) == (["parked"], 1)


def attempts_of(app: Flask) -> int:
    with parts_of(app).store.read() as conn:
        found = find_delivery(conn, rows_of(app)[0].id)
    return found.attempt_count if found else 0


# ---- destinations -------------------------------------------------------------------------------


def test_paused_destination_gets_nothing_until_it_is_resumed(
    shop: Flask, mini_sentry: MiniSentry
) -> None:
    add_project(shop, 2, mini_sentry.dsn)
    parts = parts_of(shop)
    assert actions.pause(parts.store, parts.destinations, 1, "a test").state(utc_now()) == "paused"
    waits = accept(shop)
    goes = accept(shop, project_id=2)
    with forwarding(shop):
        mini_sentry.wait_for(lambda server: server.event_ids() == [goes])
        actions.resume(parts.store, parts.destinations, 1, "a test")
        mini_sentry.wait_for(lambda server: server.event_ids() == [goes, waits])


def test_pause_needs_a_project_with_a_dsn(shop: Flask) -> None:
    add_project(shop, 2, None)
    parts = parts_of(shop)
    for act in (actions.pause, actions.resume):
        with pytest.raises(UnknownDelivery):
            act(parts.store, parts.destinations, 77, "a test")
        with pytest.raises(DoesNotFit):
            act(parts.store, parts.destinations, 2, "a test")


def test_every_act_is_a_line_with_who_did_it(
    shop: Flask, mini_sentry: MiniSentry, caplog: pytest.LogCaptureFixture
) -> None:
    park(shop, mini_sentry)
    parts, row = parts_of(shop), rows_of(shop)[0]
    with caplog.at_level(logging.INFO, logger="app.tracker"):
        actions.pause(parts.store, parts.destinations, 1, "admin ada")
        actions.resume(parts.store, parts.destinations, 1, "admin ada")
        actions.replay(parts.store, parts.destinations, DeliveryFilter(state="parked"), "admin ada")
        actions.discard_one(parts.store, parts.destinations, row.id, "admin ada")
        actions.replay_one(parts.store, parts.destinations, row.id, "admin ada")
        actions.discard(
            parts.store, parts.destinations, DeliverySelection(ids=[row.id]), "admin ada"
        )
    lines = [record.getMessage() for record in caplog.records if "admin ada" in record.getMessage()]
    words = ["paused", "resumed", "replayed 1", "discarded", "replayed", "discarded 1"]
    assert len(lines) == 6
    assert all(word in line for word, line in zip(words, lines, strict=True))
    assert "publickey" not in caplog.text


def test_attempts_are_counted_in_the_accounting(shop: Flask, mini_sentry: MiniSentry) -> None:
    accept(shop)
    deliver(shop)
    park(shop, mini_sentry, 2)
    with parts_of(shop).store.read() as conn:
        counted = accounting.read_counters(conn)
    assert (counted["attempts:delivered"], counted["attempts:parked"]) == (1, 2)
