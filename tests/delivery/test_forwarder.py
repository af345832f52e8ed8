"""From the outbox to Sentry: what arrives, what waits, and what the trail says of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import time_machine
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from app import sentry
from app.delivery import destinations
from app.delivery.tables import attempts
from app.events.tables import envelopes
from app.protocol.envelope import Envelope, Item
from app.store import utc_now
from app.store.recording import recording
from tests.conftest import parts_of
from tests.delivery_steps import accounting_of, deliver, deliver_until, forwarding
from tests.mini_sentry import MiniSentry
from tests.server_process import WorkerProcess, wait_for

FAST = {"DELIVERY_BACKOFF_BASE_S": 0.02, "DELIVERY_BACKOFF_MAX_S": 0.05}


def answered(status: int, body: str = "{}", **headers: str) -> Response:
    response = Response(body, status, content_type="application/json")
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def event_of(client: FlaskClient, event_id: str | None) -> dict[str, object]:
    event: dict[str, object] = client.get(f"/api/events/{event_id}").json
    return event


def state_of(client: FlaskClient, event_id: str | None) -> object:
    return event_of(client, event_id)["delivery"]["state"]  # type: ignore[index]


def attempts_of(app: Flask) -> list[tuple[int | None, str]]:
    with parts_of(app).store.read() as conn:
        rows = conn.execute(select(attempts.c.status, attempts.c.state).order_by(attempts.c.id))
        return [(row.status, row.state) for row in rows]


def fail_differently(message: str) -> str | None:
    """Record one of many issues: messages of letters alone are grouped apart."""
    return sentry.capture_message(message, level="error")


def test_event_reaches_sentry_with_its_id_and_the_trail_ends_with_sentrys_own(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, SENTRY_WEB_URL="https://acme.example")
    client = app.test_client()
    event_id = sentry.capture_message("to Sentry")
    assert state_of(client, event_id) == "pending"
    deliver(app)
    assert mini_sentry.event_ids() == [event_id]
    event = event_of(client, event_id)
    url = f"https://acme.example/issues/?query={event_id}"
    assert event["delivery"] == {"state": "delivered", "upstream_id": event_id, "url": url}
    hops = {hop["hop"]: hop["ok"] for hop in event["trail"]}  # type: ignore[attr-defined]
    # No rule has looked at it yet.
    assert hops.pop("notified") is None and hops.pop("confirmed") is None
    assert list(hops.values()) == [True] * 5
    assert attempts_of(app) == [(200, "delivered")]
    accounting = client.get("/system/status").json["accounting"]
    assert (accounting["accepted"], accounting["delivered"], accounting["balanced"]) == (1, 1, True)


def test_envelope_is_sent_as_it_was_stored_with_a_new_sent_at_and_without_our_dsn(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    headers = {"sent_at": "2001-01-01T00:00:00Z", "dsn": "http://ours@127.0.0.1/1", "x": 1}
    items = [
        Item({"type": "future_thing", "odd": True}, b"\x00\xff\nraw"),
        Item({"type": "x"}, b""),
    ]
    with recording():
        parts_of(app).intake.accept(Envelope(headers, items), project_id=1, timeout_s=5)
    deliver(app)
    (arrived,) = mini_sentry.envelopes
    assert arrived.headers["sent_at"] > "2026" and arrived.headers["x"] == 1
    assert "dsn" not in arrived.headers
    assert [item.payload for item in arrived.items] == [b"\x00\xff\nraw", b""]
    assert arrived.items[0].headers["odd"] is True
    instance = mini_sentry.headers[0]["X-Devenviro-Instance"]
    assert instance == parts_of(app).store.instance_id()


def test_what_a_worker_sends_on_carries_no_trace_of_this_application(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry, tmp_path: Path, database_url: str
) -> None:
    settings = {"SENTRY_DSN": mini_sentry.dsn, "DATABASE_URL": database_url}
    make_app(**settings)
    sentry.capture_message("to Sentry")
    worker = WorkerProcess(tmp_path / "data", **settings)
    try:
        wait_for(lambda: bool(mini_sentry.headers))
    finally:
        worker.stop()
    sent = {name.lower() for name in mini_sentry.headers[0]}
    assert "x-sentry-auth" in sent
    assert not sent & {"sentry-trace", "baggage", "traceparent"}


@pytest.mark.parametrize(
    ("answer", "state", "hop", "cause"),
    [
        (answered(403), "retry", "accepted", "403: the key is disabled"),
        (answered(401), "retry", "accepted", "401: the key is wrong"),
        (answered(404), "retry", "accepted", "404: the path or the project"),
        (answered(503), "retry", "accepted", "503: Sentry is overloaded"),
        (answered(500), "retry", "accepted", "500: Sentry failed"),
        (answered(302, Location="http://x/y?key=secret"), "retry", "accepted", "redirected"),
        (answered(429, Retry_After="3600"), "retry", "accepted", "429: Sentry asked to wait until"),
        (answered(400, '{"detail": "bad\\nevent"}'), "parked", "accepted", "(bad event)"),
        (answered(413), "parked", "accepted", "413: too large for Sentry"),
        (answered(418), "parked", "accepted", "418: Sentry refuses the envelope"),
        (Response("<html>", 200), "retry", "accepted", "200 with an HTML page is no Sentry"),
    ],
)
def test_answer_of_sentry_is_named_on_the_trail_and_nothing_is_dropped(
    make_app: Callable[..., Flask],
    mini_sentry: MiniSentry,
    answer: Response,
    state: str,
    hop: str,
    cause: str,
) -> None:
    mini_sentry.answer = lambda envelope: answer
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    client = app.test_client()
    event_id = sentry.capture_message("refused")
    deliver_until(app, lambda: state_of(client, event_id) != "pending")
    event = event_of(client, event_id)
    assert event["delivery"]["state"] == state  # type: ignore[index]
    failed = next(one for one in event["trail"] if one["ok"] is False)  # type: ignore[attr-defined]
    assert failed["hop"] == hop and cause in failed["detail"]
    assert "secret" not in failed["detail"]
    assert attempts_of(app)[0][0] == answer.status_code
    assert accounting_of(app)["balanced"] and accounting_of(app)[state] == 1


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("dsn", "cause"),
    [
        ("http://key@127.0.0.1:{port}/42", "connection refused"),
        ("http://key@no-such-host.invalid/42", "DNS: the name of the host does not resolve"),
        ("https://key@127.0.0.1:{sentry}/42", "TLS: "),
    ],
)
def test_sentry_that_is_not_reached_is_named_by_cause_at_the_hop_sent(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry, dsn: str, cause: str
) -> None:
    sentry_port = mini_sentry.dsn.rpartition(":")[2].partition("/")[0]
    # Long, so that the next try is still to come when the page is read.
    slow = {"DELIVERY_BACKOFF_BASE_S": 3600, "DELIVERY_BACKOFF_MAX_S": 3600}
    app = make_app(SENTRY_DSN=dsn.format(port=_closed_port(), sentry=sentry_port), **slow)
    client = app.test_client()
    event_id = sentry.capture_message("nobody there")
    deliver_until(app, lambda: state_of(client, event_id) == "retry")
    sent = event_of(client, event_id)["trail"][3]  # type: ignore[index]
    assert (sent["hop"], sent["ok"]) == ("sent", False)
    assert cause in sent["detail"] and "next try at" in sent["detail"]


def test_event_is_tried_again_until_sentry_takes_it(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    answers = [answered(503), answered(500), answered(408), answered(425)]
    mini_sentry.answer = lambda envelope: answers.pop() if answers else None
    app = make_app(SENTRY_DSN=mini_sentry.dsn, **FAST)
    event_id = sentry.capture_message("again and again")
    deliver(app)
    assert mini_sentry.event_ids() == [event_id]
    assert attempts_of(app) == [
        (425, "retry"),
        (408, "retry"),
        (500, "retry"),
        (503, "retry"),
        (200, "delivered"),
    ]
    assert accounting_of(app)["balanced"]


def test_wrong_key_opens_the_circuit_keeps_everything_and_mends_by_itself(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    asked: list[int] = []

    def refuse(envelope: Envelope) -> Response:
        asked.append(1)
        return answered(403)

    mini_sentry.answer = refuse
    app = make_app(SENTRY_DSN=mini_sentry.dsn, **FAST)
    with forwarding(app):
        sentry.capture_message("first")
        wait_for(lambda: _destination(app).open_since is not None)
        for number in range(20):
            fail_differently("abcdefghijklmnopqrst"[number] * 3)
        before = len(asked)
        wait_for(lambda: len(asked) >= before + 3)  # probes, one at a time
        assert accounting_of(app)["delivered"] == 0
        mini_sentry.answer = None
        wait_for(lambda: accounting_of(app)["delivered"] == 21)
    destination = _destination(app)
    assert (destination.open_since, destination.cause, destination.failures) == (None, None, 0)
    assert len(set(mini_sentry.event_ids())) == len(mini_sentry.event_ids()) == 21
    assert accounting_of(app)["balanced"]


def _destination(app: Flask) -> destinations.Destination:
    with parts_of(app).store.read() as conn:
        return parts_of(app).destinations.find(conn, 1)


def test_limit_of_one_category_holds_what_it_names_and_nothing_else(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    limit = "3600:error;default:organization:quota"
    mini_sentry.answer = lambda envelope: (
        answered(429, X_Sentry_Rate_Limits=limit) if envelope.event() else None
    )
    app = make_app(SENTRY_DSN=mini_sentry.dsn, **FAST)
    client = app.test_client()
    first = sentry.capture_message("limited")
    deliver_until(app, lambda: state_of(client, first) == "retry")
    mini_sentry.answer = None
    second = sentry.capture_message("limited as well")
    with recording():
        session = Envelope({}, [Item({"type": "session"}, {"sid": "a"})])
        parts_of(app).intake.accept(session, project_id=1, timeout_s=5)
    deliver_until(app, lambda: accounting_of(app)["delivered"] == 1)
    assert [envelope.item_types for envelope in mini_sentry.envelopes] == [["session"]]
    assert state_of(client, second) == "pending"
    assert "429: Sentry asked to wait until" in event_of(client, second)["trail"][3]["detail"]  # type: ignore[index]
    with time_machine.travel(utc_now() + timedelta(seconds=3700)):
        deliver(app)
    assert set(mini_sentry.event_ids()) == {first, second}


def test_limit_outlives_the_process_that_learned_it(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    until = format_datetime(utc_now() + timedelta(minutes=30), usegmt=True)
    mini_sentry.answer = lambda envelope: answered(429, Retry_After=until)
    app = make_app(SENTRY_DSN=mini_sentry.dsn, **FAST)
    client = app.test_client()
    first = sentry.capture_message("limited")
    deliver_until(app, lambda: state_of(client, first) == "retry")
    mini_sentry.answer = None
    seen: list[str] = []
    with forwarding(app) as other:
        sentry.capture_message("later")
        for _ in range(3):
            other.wake()
        seen = mini_sentry.event_ids()
    assert seen == []
    (until_,) = _destination(app).limits.values()
    assert timedelta(minutes=25) < until_ - utc_now() <= timedelta(minutes=30)


def test_success_that_names_a_limit_holds_the_next_ones(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    mini_sentry.answer = lambda envelope: answered(200, X_Sentry_Rate_Limits="600::key")
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    client = app.test_client()
    first = sentry.capture_message("taken")
    deliver_until(app, lambda: state_of(client, first) == "delivered")
    assert _destination(app).limits.keys() == {""}


def test_envelope_that_always_fails_does_not_hold_up_the_others(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    mini_sentry.answer = lambda envelope: (
        answered(500) if envelope.items[0].payload["message"] == "poison" else None
    )
    app = make_app(SENTRY_DSN=mini_sentry.dsn, **FAST)
    client = app.test_client()
    poison = fail_differently("poison")
    with forwarding(app):
        wait_for(lambda: len(attempts_of(app)) >= 4)
        others = [fail_differently("abcdefgh"[number] * 4) for number in range(8)]
        wait_for(lambda: set(others) <= set(mini_sentry.event_ids()))
    assert state_of(client, poison) == "retry"
    assert _destination(app).open_since is None


def test_first_event_of_an_issue_always_goes_and_its_repeats_are_sampled(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, SENTRY_SAMPLE_RATE=0.0)
    client = app.test_client()
    ids = [sentry.capture_message("the same bug") for _ in range(5)]
    deliver(app)
    assert mini_sentry.event_ids() == ids[:1]
    assert accounting_of(app)["discarded"] == {"sample_rate": 4}
    assert accounting_of(app)["balanced"]
    assert client.get("/api/issues").json["issues"][0]["times_seen"] == 5
    assert "sampled out" in event_of(client, ids[4])["trail"][3]["detail"]  # type: ignore[index]


def test_rate_of_an_exception_type_wins_over_the_general_one(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, SENTRY_ERROR_SAMPLE_RATES="TimeoutError=0, Other=1")
    for _ in range(3):
        for kind in (TimeoutError, KeyError):
            try:
                raise kind("x")
            except (TimeoutError, KeyError) as error:
                sentry.capture_exception(error)
    deliver(app)
    types = [event["exception"]["values"][-1]["type"] for event in mini_sentry.events()]
    assert sorted(types) == ["KeyError", "KeyError", "KeyError", "TimeoutError"]


def test_cap_lets_so_many_of_an_issue_through_in_an_hour(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, DELIVERY_MAX_PER_ISSUE_PER_HOUR=3)
    noon = utc_now().replace(minute=10)
    with time_machine.travel(noon, tick=True):
        for _ in range(6):
            sentry.capture_message("noisy")
        sentry.capture_message("quiet")
        deliver(app)
    assert len(mini_sentry.events()) == 4
    assert accounting_of(app)["discarded"] == {"issue_cap": 3}
    with time_machine.travel(noon + timedelta(hours=1), tick=True):
        sentry.capture_message("noisy")
        deliver(app)
    assert len(mini_sentry.events()) == 5


def test_cap_counts_the_first_event_that_goes_in_one_batch_with_its_repeats(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, DELIVERY_MAX_PER_ISSUE_PER_HOUR=1)
    with time_machine.travel(utc_now().replace(minute=10), tick=True):
        for _ in range(4):
            sentry.capture_message("noisy")
        deliver(app)
    assert len(mini_sentry.events()) == 1
    assert accounting_of(app)["discarded"] == {"issue_cap": 3}


def test_what_was_spared_is_told_to_sentry_as_client_reports(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, SENTRY_SAMPLE_RATE=0.0)
    for _ in range(4):
        sentry.capture_message("the same bug")

    def reported() -> list[dict[str, object]]:
        return [
            lost
            for envelope in list(mini_sentry.envelopes)
            for item in envelope.items
            if item.type == "client_report"
            for lost in item.payload["discarded_events"]
        ]

    deliver(app)
    deliver_until(app, lambda: bool(reported()))
    assert reported() == [{"reason": "sample_rate", "category": "error", "quantity": 3}]
    accounting = accounting_of(app)
    assert (accounting["accepted"], accounting["balanced"]) == (
        4,
        True,
    )  # a report is no envelope of theirs


def test_paused_destination_keeps_everything_and_sends_it_when_resumed(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    client, store = app.test_client(), parts_of(app).store
    with store.write() as conn:
        destinations.pause(conn, 1, utc_now())
    event_id = sentry.capture_message("while paused")
    with forwarding(app) as forwarder:
        for _ in range(3):
            forwarder.wake()
        assert "paused by a person" in event_of(client, event_id)["trail"][3]["detail"]  # type: ignore[index]
        assert mini_sentry.events() == []
        with store.write() as conn:
            destinations.resume(conn, 1, utc_now())
        wait_for(lambda: mini_sentry.event_ids() == [event_id])


def test_envelope_that_is_too_old_expires_and_the_accounting_says_so(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    mini_sentry.answer = lambda envelope: answered(503)
    app = make_app(SENTRY_DSN=mini_sentry.dsn, DELIVERY_MAX_AGE_DAYS=2)
    client = app.test_client()
    event_id = sentry.capture_message("old")
    deliver_until(app, lambda: state_of(client, event_id) == "retry")
    with time_machine.travel(utc_now() + timedelta(days=2, minutes=1)):
        deliver_until(app, lambda: state_of(client, event_id) == "expired")
    assert (accounting_of(app)["expired"], accounting_of(app)["balanced"]) == (1, True)


def test_project_with_a_dsn_of_its_own_goes_there_and_one_without_stays_here(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app()
    store, intake = parts_of(app).store, parts_of(app).intake
    with store.write() as conn:
        conn.exec_driver_sql(
            "INSERT INTO projects (id, name, created_at) VALUES"
            " (7, 'shop', '2026-01-01 00:00:00'), (8, 'blog', '2026-01-01 00:00:00')"
        )
        destinations.set_dsn(conn, 7, mini_sentry.dsn)
    for project_id in (7, 8, 1):
        event = {"event_id": f"{project_id:032x}", "message": "hello"}
        envelope = Envelope({}, [Item({"type": "event"}, event)])
        with recording():
            intake.accept(envelope, project_id=project_id, timeout_s=5)
    deliver(app)
    assert mini_sentry.event_ids() == [f"{7:032x}"]
    assert (accounting_of(app)["local"], accounting_of(app)["delivered"]) == (2, 1)


def test_two_forwarders_send_everything_once(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    ids = [fail_differently("".join(chr(97 + int(d)) for d in f"{n:03}")) for n in range(60)]
    with forwarding(app), forwarding(app), forwarding(app):
        wait_for(lambda: len(mini_sentry.envelopes) >= 60)
        wait_for(lambda: accounting_of(app)["delivered"] == 60)
    assert sorted(mini_sentry.event_ids()) == sorted(map(str, ids))


def test_envelope_settled_elsewhere_meanwhile_is_left_as_it_is(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold(envelope: Envelope) -> Response:
        arrived.set()
        go_on.wait(10)
        return answered(503)

    mini_sentry.answer = hold
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    sentry.capture_message("discarded while it is sent")
    with forwarding(app):
        assert arrived.wait(10)
        with parts_of(app).store.write() as conn:
            row = update(envelopes).values(state="discarded", reason="by_person", next_at=None)
            conn.execute(row)
            from app.delivery import accounting

            accounting.move(conn, [("state:pending", "discarded:by_person")])
        go_on.set()
        wait_for(lambda: attempts_of(app) == [(503, "retry")])
    totals_ = accounting_of(app)
    assert (totals_["discarded"], totals_["balanced"]) == ({"by_person": 1}, True)


def test_corrupted_count_unbalances_the_accounting(app: Flask, client: FlaskClient) -> None:
    sentry.capture_message("counted")
    assert client.get("/system/status").json["accounting"]["balanced"]
    with parts_of(app).store.write() as conn:
        conn.exec_driver_sql("UPDATE counters SET value = value + 1 WHERE name = 'accepted'")
    assert not client.get("/system/status").json["accounting"]["balanced"]


@pytest.mark.parametrize("state", ["delivered", "pending", "parked", "nonsense"])
def test_row_whose_state_was_changed_behind_the_accounting_unbalances_it(
    app: Flask, client: FlaskClient, state: str
) -> None:
    sentry.capture_message("counted")
    with parts_of(app).store.write() as conn:
        conn.execute(update(envelopes).values(state=state))
        assert conn.scalar(select(func.count()).select_from(envelopes)) == 1
    assert not client.get("/system/status").json["accounting"]["balanced"]
