"""Notifications on their way: retried, settled, never lost, never doubled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from app.alerts.channels.stored import Channel, change_channel
from app.alerts.rules.changes import ensure_presets
from app.alerts.rules.spike import Spike
from app.events.tables import events
from app.issues.grouping import group
from app.issues.occurrence import Occurrence
from app.issues.recording import record_occurrences
from app.issues.tables import transitions
from app.projects import projects
from tests.alert_steps import (
    add_webhook,
    alert_loop_of,
    evaluate,
    evaluator_of,
    only,
    send_due,
    sendings,
    store_events,
    titles,
)
from tests.api.test_metrics import metrics_of
from tests.conftest import csrf_token, parts_of
from tests.issues.payloads import calls, read
from tests.receivers import Receiver
from tests.server_process import WorkerProcess, free_port, wait_for

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def test_notice_of_an_issue_says_what_it_is_about(app: Flask, receiver: Receiver) -> None:
    add_webhook(app, receiver.url)
    rule = only(app, "new_issue", name="Anything new")
    [event_id] = store_events(app, {**calls("charge", value="declined"), "environment": "live"})
    evaluate(app)
    send_due(app)
    [got] = receiver.received
    sent = got.json
    assert sent["title"] == "New issue: ValueError: declined"
    assert sent["rule"] == {
        "id": rule.id,
        "name": "Anything new",
        "kind": "new_issue",
        "threshold": None,
        "minimum": None,
        "window_minutes": None,
        "filters": {},
    }
    assert sent["project"]["id"] == 1 and sent["issue"]["title"] == "ValueError: declined"
    assert (sent["event"]["event_id"], sent["event"]["environment"]) == (event_id, "live")
    assert sent["links"]["event"].endswith(f"/admin/events/{event_id}")
    assert sent["links"]["issue"].endswith(f"/admin/issues/{sent['issue']['id']}")
    assert sent["links"]["rule"].endswith(f"/admin/alerts/rules/{rule.id}")


def test_webhook_that_is_down_for_an_hour_gets_it_once_afterwards(app: Flask) -> None:
    port = free_port()
    with time_machine.travel(NOON, tick=False) as clock:
        add_webhook(app, f"http://127.0.0.1:{port}/hook")
        only(app, "new_issue")
        store_events(app, calls("charge", value="declined"))
        evaluate(app)
        for _ in range(60):
            send_due(app)
            clock.shift(timedelta(minutes=1))
        [waiting] = sendings(app)
        assert waiting.state == "retry" and waiting.attempts > 5
        assert waiting.reason == "connection refused: nothing listens there"
        with Receiver(port=port) as receiver:
            for _ in range(30):
                send_due(app)
                clock.shift(timedelta(minutes=1))
            assert len(receiver.received) == 1
        assert [sending.state for sending in sendings(app)] == ["delivered"]


def test_wait_grows_with_every_failure_and_ends_after_three_days(
    app: Flask, receiver: Receiver
) -> None:
    receiver.answer = lambda: Response(status=503)
    with time_machine.travel(NOON, tick=False) as clock:
        add_webhook(app, receiver.url)
        only(app, "new_issue")
        store_events(app, calls("charge"))
        evaluate(app)
        waits = []
        for _ in range(12):
            send_due(app)
            [one] = sendings(app)
            waits.append(one.next_at - clock_now())
            clock.move_to(one.next_at)
        assert max(waits[:2]) <= timedelta(seconds=10) and max(waits) <= timedelta(minutes=10)
        clock.move_to(NOON + timedelta(days=3, minutes=1))
        send_due(app)
        [one] = sendings(app)
        assert (one.state, one.reason, one.next_at) == ("expired", "answered 503", None)


def test_old_notices_are_forgotten_with_how_they_were_sent(app: Flask, receiver: Receiver) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        add_webhook(app, receiver.url)
        only(app, "new_issue")
        store_events(app, calls("charge"))
        evaluate(app)
        send_due(app)
        clock.shift(timedelta(days=399))
        assert alert_loop_of(app, "one").run_once() and sendings(app)
        clock.shift(timedelta(days=2))
        alert_loop_of(app, "one").run_once()
        assert titles(app) == [] and sendings(app) == []


def clock_now() -> datetime:
    return datetime.now(UTC)


def test_storm_of_ten_thousand_events_is_one_notice_a_rule_and_window(app: Flask) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        ensure_presets(parts_of(app).store)
        with parts_of(app).store.write() as conn:
            conn.execute(update(projects).values(created_at=NOON - timedelta(days=3)))
        fill(app, issues=2000, each=5)
        for _ in range(4):
            evaluate(app)
            clock.shift(timedelta(minutes=1))
        told = titles(app)
        assert told == [
            "DevEnviro: 2,000 new issues",
            "Spike: 10,000 events this hour, usually 0",
        ]
        assert due_count(app) == 0
        fill(app, issues=50, each=1, name="later")
        evaluate(app)
        told += ["DevEnviro: 50 new issues"]
        fill(app, issues=30, each=1, name="latest")
        evaluate(app)
        assert titles(app) == told
        clock.shift(timedelta(minutes=1))
        evaluate(app)
        assert titles(app)[3:] == ["DevEnviro: 30 new issues"]


def fill(app: Flask, issues: int, each: int, name: str = "storm") -> None:
    """Store many events at once, as the intake's transaction does."""
    for first in range(0, issues, 250):
        occurrences = []
        for number in range(first, min(first + 250, issues)):
            event = read(calls(f"{name}{number}", value=f"{name} {number}"))
            occurrences += [Occurrence(1, event, group(event))] * each
        with parts_of(app).store.write() as conn:
            record_occurrences(conn, occurrences)


def due_count(app: Flask) -> int:
    query = select(func.count()).where(transitions.c.alerts_due.is_not(None))
    with parts_of(app).store.read() as conn:
        return conn.execute(query).scalar_one()


def test_failure_of_a_notice_makes_no_event_of_ours(app: Flask, receiver: Receiver) -> None:
    add_webhook(app, receiver.url)
    only(app, "new_issue", cooldown_minutes=1)
    store_events(app, calls("charge"))
    evaluate(app)
    dispatcher = parts_of(app).dispatcher

    def fail(*_: object) -> None:
        raise RuntimeError("the courier stumbled")

    dispatcher._try = fail  # type: ignore[method-assign,assignment]
    send_due(app)
    receiver.answer = lambda: Response(status=500)
    with parts_of(app).store.read() as conn:
        assert conn.execute(select(func.count()).select_from(events)).scalar_one() == 1


def test_channel_that_hangs_does_not_hold_up_the_others(app: Flask, receiver: Receiver) -> None:
    released = threading.Event()

    def hang() -> Response:
        released.wait(20)
        return Response()

    with Receiver() as slow:
        slow.answer = hang
        add_webhook(app, slow.url, "slow")
        add_webhook(app, receiver.url, "quick")
        only(app, "new_issue")
        store_events(app, calls("charge"))
        evaluate(app)
        sending = threading.Thread(target=send_due, args=(app,))
        sending.start()
        try:
            wait_for(lambda: receiver.received)
        finally:
            released.set()
            sending.join()
    assert [one.state for one in sendings(app)] == ["delivered"] * 2


def test_channel_that_is_off_gets_nothing_and_a_rule_may_choose(
    app: Flask, client: FlaskClient, receiver: Receiver
) -> None:
    _, other, off = (add_webhook(app, f"{receiver.url}/{name}", name) for name in "abc")
    client.patch(f"/api/alerts/channels/{off.id}", json={"enabled": False})
    only(app, "new_issue", channel_ids=[other.id, off.id])
    store_events(app, calls("charge"))
    evaluate(app)
    send_due(app)
    assert [got.path for got in receiver.received] == ["/b"]


# ---- many processes, and what is killed ---------------------------------------------------------


def test_two_hosts_evaluate_each_rule_once_and_send_once(
    make_app: Callable[..., Flask], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"ALERTS_ALLOW_PRIVATE_TARGETS": True, "ALERTS_EVALUATE_EVERY_S": 3600}
    hosts = [make_app(**settings) for _ in range(2)]
    add_webhook(hosts[0], receiver.url)
    store_events(hosts[0], calls("charge", value="declined"))
    measured: list[int] = []
    whole = Spike.measure
    monkeypatch.setattr(
        Spike,
        "measure",
        lambda kind, rule, question: measured.append(rule.id) or whole(kind, rule, question),
    )
    loops = [alert_loop_of(host, f"host{number}") for number, host in enumerate(hosts)]
    threads = [
        threading.Thread(target=lambda loop=loop: [loop.run_once() for _ in range(5)])
        for loop in loops
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(measured) == 1
    assert titles(hosts[0]) == ["New issue: ValueError: declined"]
    assert len(receiver.received) == 1


@pytest.mark.parametrize("way", ["page", "api"])
def test_notice_that_was_given_up_warns_and_goes_out_once_more_when_a_person_says_so(
    app: Flask, admin_client: FlaskClient, receiver: Receiver, way: str
) -> None:
    failing = add_webhook(app, receiver.url, "off for an hour")
    with Receiver() as other:
        add_webhook(app, other.url, "on")
        only(app, "new_issue")
        store_events(app, calls("charge", value="declined"))
        evaluate(app)
        assert alerts_health(app) == "pass"
        switch(app, failing, enabled=False)
        send_due(app)
        assert {sending.state for sending in sendings(app)} == {"parked", "delivered"}
        assert alerts_health(app) == "warn"
        switch(app, failing, enabled=True)
        [notice_id] = {sending.notice_id for sending in sendings(app)}
        again(admin_client, way, notice_id)
        send_due(app)
        assert {sending.state for sending in sendings(app)} == {"delivered"}
        assert alerts_health(app) == "pass"
        # Nothing is left of it to send, to nobody.
        again(admin_client, way, notice_id)
        assert send_due(app) == 0
        assert (len(receiver.received), len(other.received)) == (1, 1)


def test_notice_that_waits_for_long_warns(app: Flask) -> None:
    add_webhook(app, f"http://127.0.0.1:{free_port()}/hook")
    only(app, "new_issue")
    store_events(app, calls("charge", value="declined"))
    evaluate(app)
    send_due(app)
    assert alerts_health(app) == "pass"
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16)):
        assert alerts_health(app) == "warn"


def alerts_health(app: Flask) -> str:
    app.extensions.pop("health", None)  # What it found before holds for two seconds.
    return str(app.test_client().get("/health").json["checks"]["alerts"])


def switch(app: Flask, channel: Channel, *, enabled: bool) -> None:
    with parts_of(app).store.write() as conn:
        change_channel(conn, channel, {"enabled": enabled})


def again(admin_client: FlaskClient, way: str, notice_id: int) -> None:
    if way == "api":
        assert admin_client.post(f"/api/alerts/{notice_id}/send", json={}).status_code == 200
        return
    form = {"csrf_token": csrf_token(admin_client, f"/admin/alerts/{notice_id}")}
    answer = admin_client.post(f"/admin/alerts/{notice_id}/send", data=form, follow_redirects=True)
    assert "goes out again" in answer.text or "Nothing of it was left" in answer.text


def test_two_that_evaluate_at_the_same_time_tell_once(
    make_app: Callable[..., Flask], receiver: Receiver
) -> None:
    # As after a lease that ran out while its holder was still at work.
    hosts = [make_app(ALERTS_ALLOW_PRIVATE_TARGETS=True) for _ in range(2)]
    add_webhook(hosts[0], receiver.url)
    only(hosts[0], "frequency", threshold=2)
    store_events(hosts[0], *[calls("charge", value="declined")] * 3)
    together = threading.Barrier(2)

    def work(host: Flask) -> None:
        together.wait()
        evaluator_of(host).work()
        send_due(host)
        together.wait()
        send_due(host)

    threads = [threading.Thread(target=work, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(titles(hosts[0])) == len(receiver.received) == 1


def test_notice_of_a_process_that_is_killed_between_sending_and_settling_is_sent_again(
    make_app: Callable[..., Flask], receiver: Receiver, database_url: str, tmp_path: Path
) -> None:
    app = make_app(ALERTS_ALLOW_PRIVATE_TARGETS=True, DATA_DIR=tmp_path / "data")
    add_webhook(app, receiver.url)
    store_events(app, calls("charge", value="declined"))
    settings = {
        "DATABASE_URL": database_url,
        "ALERTS_ALLOW_PRIVATE_TARGETS": "on",
        "ALERTS_EVALUATE_EVERY_S": "1",
    }
    workers = [WorkerProcess(tmp_path / "data", **settings)]

    def kill() -> Response:
        workers[0].kill()
        return Response()

    receiver.answer = kill
    try:
        wait_for(lambda: receiver.received)
        wait_for(lambda: workers[0].process.poll() is not None)
        assert [sending.state for sending in sendings(app)] == ["pending"]
        receiver.answer = Response
        workers.append(WorkerProcess(tmp_path / "data", **settings))
        wait_for(lambda: [sending.state for sending in sendings(app)] == ["delivered"])
    finally:
        for worker in workers:
            worker.stop()
    # The same notification, so that who gets it can tell.
    first, second = receiver.received
    assert first.json["id"] == second.json["id"]
    assert titles(app) == ["New issue: ValueError: declined"]


def test_notices_are_told_by_state_and_attempts_by_what_came_of_them(
    app: Flask, receiver: Receiver
) -> None:
    empty = metrics_of(app)
    assert empty['notices{state="pending"}'] == empty['notices{state="delivered"}'] == 0
    add_webhook(app, receiver.url)
    only(app, "new_issue")
    store_events(app, calls("charge", value="declined"))
    evaluate(app)
    assert metrics_of(app)['notices{state="pending"}'] == 1
    receiver.answer = lambda: Response("down", 500)
    send_due(app)
    found = metrics_of(app)
    assert found['notices{state="retry"}'] == found['notice_attempts_total{state="retry"}'] == 1
    assert found['notices{state="pending"}'] == 0
