"""MAX_STORE_BYTES is kept at the door, and who uses most pays first."""

from __future__ import annotations

import itertools
import os

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.events.tables import envelopes
from app.intake.pressure import payer_of, relieve
from app.intake.project_bytes import Bytes
from app.intake.store_bound import ShareExceeded, State, StoreBound, measure
from app.issues.tables import issues
from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from app.store import StoreFull, utc_now
from tests.conftest import parts_of
from tests.intake.test_project_bytes import said, there

MIB = 1024**2
FLOOD, HONEST = 2, 3


def bind(app: Flask, limit: int) -> StoreBound:
    """Give a store a bound, measured for every envelope."""
    parts = parts_of(app)
    ticks = itertools.count(step=10)
    parts.intake.bound = StoreBound(parts.store, limit, lambda: float(next(ticks)))
    return parts.intake.bound


def send(
    app: Flask, project_id: int, message: str, attached: int = 0, kind: str = "attachment"
) -> None:
    event = Item({"type": "event"}, {"exception": {"values": [{"type": message, "value": "x"}]}})
    items = [event]
    if attached:
        # Random, since what repeats is compressed away.
        items.append(Item({"type": kind, "filename": "a"}, os.urandom(attached)))
    parts_of(app).intake.accept(Envelope({}, items), project_id=project_id, timeout_s=10)


def count(app: Flask, project_id: int) -> int:
    with parts_of(app).store.read() as conn:
        query = select(envelopes.c.id).where(envelopes.c.project_id == project_id)
        return len(conn.execute(query).all())


def have_wait(app: Flask, *project_ids: int) -> None:
    """Let what projects have wait for delivery, as if Sentry did not answer."""
    with parts_of(app).store.write() as conn:
        waiting = update(envelopes).where(envelopes.c.project_id.in_(project_ids))
        conn.execute(waiting.values(state="pending"))


@pytest.fixture
def shops(app: Flask) -> Flask:
    create_project(parts_of(app).store, "Flood", FLOOD, "a" * 32)
    create_project(parts_of(app).store, "Honest", HONEST, "b" * 32)
    return app


def fill(app: Flask, limit: int, project_id: int = FLOOD) -> None:
    """Send until the door refuses."""
    bind(app, limit)
    try:
        for number in range(1000):
            send(app, project_id, f"Unique{number}", attached=100_000)
    except (ShareExceeded, StoreFull):
        return
    raise AssertionError("the door never refused")


def test_flood_pays_for_itself_and_an_honest_project_loses_nothing(shops: Flask) -> None:
    store, limit = parts_of(shops).store, 12 * MIB
    bind(shops, limit)
    fullest = refused = 0
    for number in range(300):
        try:
            # Not files, which have a budget of their own and go before any event.
            send(shops, FLOOD, f"Unique{number}", 100_000, "replay_recording")
        except ShareExceeded:
            refused += 1
        if number % 10 == 0:
            send(shops, HONEST, f"Honest{number}")
        if number % 20 == 0:  # The background loop looks twice a second.
            relieve(store, limit)
        fullest = max(fullest, measure(store, limit).used)
    assert fullest <= 1.1 * limit
    assert count(shops, HONEST) == 30
    assert 0 < count(shops, FLOOD) < 300 - refused
    assert said(store) == there(store)
    assert shops.test_client().get("/system/status").json["accounting"]["balanced"]


def test_issue_goes_with_its_last_event_unless_somebody_decided_about_it(shops: Flask) -> None:
    store = parts_of(shops).store
    send(shops, FLOOD, "Undecided")
    send(shops, FLOOD, "Ignored")
    shops.test_client().patch("/api/issues/2", json={"status": "ignored"})
    send(shops, FLOOD, "Commented")
    shops.test_client().post("/api/issues/3/comments", json={"text": "known at the bank"})
    send(shops, FLOOD, "Resolved")
    shops.test_client().patch("/api/issues/4", json={"status": "resolved"})
    send(shops, FLOOD, "Reopened")
    for status in ("resolved", "unresolved"):
        shops.test_client().patch("/api/issues/5", json={"status": status})
    relieve(store, 1)
    with store.read() as conn:
        left = set(conn.execute(select(issues.c.title, issues.c.stored_event_count)))
    # As when it grows old, what was opened again has nothing decided about it.
    assert left == {("Ignored: x", 0), ("Commented: x", 0), ("Resolved: x", 0)}


def test_project_whose_envelopes_wait_gets_429_and_the_others_go_on(shops: Flask) -> None:
    store, limit = parts_of(shops).store, 12 * MIB
    send(shops, HONEST, "Honest")
    fill(shops, limit)
    have_wait(shops, FLOOD)
    waiting = count(shops, FLOOD)
    assert relieve(store, limit) == 0
    assert (count(shops, FLOOD), count(shops, HONEST)) == (waiting, 1)
    client = shops.test_client()
    answer = client.post(f"/api/{FLOOD}/store/?sentry_key={'a' * 32}", json={"message": "more"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["X-Sentry-Rate-Limits"].endswith("::project:store_full")
    answer = client.post(f"/api/{HONEST}/store/?sentry_key={'b' * 32}", json={"message": "more"})
    assert answer.status_code == 200
    assert client.get("/health/ready").status_code == 200
    parts_of(shops).intake.flush()
    refused = 'devenviro_refused_total{project="2",reason="store_full"} 2'
    assert refused in client.get("/metrics").text


def test_store_that_nobody_can_make_room_in_answers_503_and_is_not_ready(shops: Flask) -> None:
    store, limit = parts_of(shops).store, 12 * MIB
    fill(shops, limit)
    have_wait(shops, FLOOD)
    waiting = count(shops, FLOOD)
    assert relieve(store, limit) == 0
    client = shops.test_client()
    answer = client.post(f"/api/{FLOOD}/store/?sentry_key={'a' * 32}", json={"message": "more"})
    assert answer.status_code == 503
    assert "store_full" in answer.headers["X-Sentry-Error"]
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/ready").json["checks"]["store"] == "fail"
    assert count(shops, FLOOD) == waiting


def test_own_errors_go_to_the_emergency_folder_while_the_store_is_full(shops: Flask) -> None:
    parts, limit = parts_of(shops), 12 * MIB
    fill(shops, limit)
    have_wait(shops, FLOOD)
    bind(shops, limit // 2)
    parts.intake.capture(Envelope({}, [Item({"type": "event"}, {"message": "own"})]))
    assert parts.intake.emergency.count() == 1
    assert parts.intake.recover() == 0
    bind(shops, 0)
    assert parts.intake.recover() == 1


def test_room_comes_from_the_largest_and_never_from_below_a_share() -> None:
    def state(used: int, **taken: int) -> State:
        now = utc_now()
        return State(100, used, {int(k[1:]): Bytes(v, 0, now) for k, v in taken.items()}, now)

    assert payer_of(state(96, p1=80, p2=16), set()) == 1
    assert payer_of(state(96, p1=80, p2=16), {1}) is None  # What it has waits for delivery.
    assert payer_of(state(96, p1=96), set()) == 1  # One project has it all to itself.
    assert payer_of(state(96, p1=49, p2=47), set()) == 1
    many = {f"p{number}": 3 for number in range(2, 32)}
    assert payer_of(state(96, p1=6, **many), set()) == 1


def test_emergency_folder_is_bounded_and_what_is_beyond_goes_to_stderr(
    app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.intake.emergency.MAX_FILES", 2)
    parts = parts_of(app)
    with parts.store.write():  # Held by this very thread, so that nothing is taken.
        for _ in range(3):
            parts.intake.capture(Envelope({}, [Item({"type": "event"}, {"message": "own"})]))
    assert parts.intake.emergency.count() == 2
    assert capsys.readouterr().err.count("event on stderr") == 1


def test_part_of_the_bound_is_kept_for_what_is_not_measured(app: Flask) -> None:
    # The write-ahead log; on PostgreSQL removed rows, of which a larger store has more.
    store = parts_of(app).store
    assert measure(store, 64 * MIB).limit <= 60 * MIB
    kept = 1024 * MIB - measure(store, 1024 * MIB).limit
    assert kept >= (8 * MIB if store.is_sqlite else 85 * MIB)
