"""The direct way of ordinary envelopes: the same answers and rows, and nothing done twice."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import Table, select
from werkzeug.test import EnvironBuilder

from app.delivery.accounting import read_counters
from app.events.tables import envelopes, events
from app.ingest.direct import DirectDoor
from app.issues.tables import issues
from app.protocol.packing import unpack
from app.server.batches import Complete
from app.store import StoreUnavailable
from tests.conftest import parts_of
from tests.delivery_steps import accounting_of
from tests.ingest.conftest import add_projects
from tests.ingest.corpus import Recorded, load
from tests.ingest.direct_client import DirectClient, complete
from tests.ingest.test_door import AUTH, EVENT_ID, KEY, PATH, envelope, event
from tests.ingest.test_quota import NOON
from tests.ingest.test_recorded import send

pytestmark = pytest.mark.one_database

Count = Callable[[], tuple[int, int]]
# What two runs with the same requests cannot have in common.
OWN = {"uid", "scrub_ms", "body"}


def request_of(data: bytes, path: str = PATH, **headers: str) -> Complete:
    builder = EnvironBuilder(path, method="POST", data=data, headers={**AUTH, **headers})
    return complete(builder.get_environ())


@pytest.fixture
def door(app: Flask) -> DirectDoor:
    return DirectDoor(app)


# ---- the same as the routes ---------------------------------------------------------------------


def rows_of(app: Flask, table: Table) -> list[dict[str, Any]]:
    with parts_of(app).store.read() as conn:
        rows = conn.execute(select(table).order_by(table.c.id)).mappings().all()
    return [{name: row[name] for name in row if name not in OWN} for row in rows]


def bodies_of(app: Flask) -> list[bytes]:
    with parts_of(app).store.read() as conn:
        return [unpack(body) for body in conn.scalars(select(envelopes.c.body))]


def is_repeatable(recorded: Recorded) -> bool:
    """Whether a second run stores the same, because the envelope has an id of its own."""
    return recorded.event_id is not None


def test_recorded_requests_are_answered_and_stored_as_by_the_routes(
    make_app: Callable[..., Flask], tmp_path_factory: pytest.TempPathFactory
) -> None:
    ways = []
    with time_machine.travel(NOON, tick=False):
        for way in ("routes", "direct"):
            app = make_app(DATABASE_URL=f"sqlite:///{tmp_path_factory.mktemp(way)}/store")
            add_projects(parts_of(app).store)
            client = DirectClient(app) if way == "direct" else app.test_client()
            answers = [send(client, recorded) for recorded in load() if is_repeatable(recorded)]
            ways.append((app, answers))
    (by_routes, routes_answers), (directly, direct_answers) = ways
    assert direct_answers == routes_answers
    for table in (envelopes, events, issues):
        assert rows_of(directly, table) == rows_of(by_routes, table)
    assert bodies_of(directly) == bodies_of(by_routes)
    assert len(bodies_of(directly)) > 40


def test_one_batch_stores_each_envelope_and_answers_in_order(
    app: Flask, door: DirectDoor, stored: Count
) -> None:
    ids = [f"{number:032x}" for number in range(1, 17)]
    answers = door.answer(request_of(envelope(event_id=event_id)) for event_id in ids)
    assert [json.loads(answer.body)["id"] for answer in answers if answer] == ids
    assert stored() == (16, 16)
    assert accounting_of(app)["accepted"] == 16 and accounting_of(app)["balanced"]


def test_same_event_twice_in_a_batch_is_stored_once(
    app: Flask, door: DirectDoor, stored: Count
) -> None:
    request = request_of(envelope(event_id=EVENT_ID))
    answers = door.answer([request, request])
    assert [answer and json.loads(answer.body) for answer in answers] == [{"id": EVENT_ID}] * 2
    assert stored() == (1, 1)


def test_address_is_the_one_that_trusted_proxies_name(make_app: Callable[..., Flask]) -> None:
    app = make_app(TRUSTED_PROXIES=1)
    add_projects(parts_of(app).store)
    payload = event(user={"ip_address": "{{auto}}"})
    forwarded = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
    assert DirectDoor(app).answer([request_of(envelope(payload), **forwarded)])[0]
    assert rows_of(app, envelopes)[0]["caller_address"] == "198.51.100.7"


# ---- what goes the ordinary way -----------------------------------------------------------------

ODD = {
    "wrong key": request_of(envelope(), **{"X-Sentry-Auth": "Sentry sentry_key=unknown"}),
    "no key": request_of(envelope(dsn=f"https://{KEY}@host/42"), **{"X-Sentry-Auth": ""}),
    "another project": request_of(envelope(), path="/api/43/envelope/"),
    "DSN of another project": request_of(envelope(dsn=f"https://{KEY}@host/43")),
    "another instance": request_of(envelope(), **{"X-DevEnviro-Instance": "a" * 32}),
    "escaped query": request_of(envelope(), path=f"{PATH}?sentry_client=a%20b"),
    "attachment": request_of(envelope(b"file", kind="attachment")),
    "no items": request_of(b"{}"),
    "no envelope": request_of(b"\x1f\x8b"),
    "damaged gzip": request_of(b"\x1f\x8b", **{"Content-Encoding": "gzip"}),
    "large when inflated": request_of(
        gzip.compress(envelope(event(extra={"text": "a" * 100_000}))),
        **{"Content-Encoding": "gzip"},
    ),
    "two events": request_of(envelope() + envelope().partition(b"\n")[2]),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_request_is_put_back_before_anything_is_stored_or_counted(
    app: Flask, door: DirectDoor, stored: Count, case: str
) -> None:
    good = request_of(envelope())
    before, odd, after = door.answer([good, ODD[case], good])
    assert odd is None
    assert before is not None and after is not None
    assert (before.status, after.status) == ("200 OK", "200 OK")
    assert stored() == (2, 2)
    parts_of(app).intake.flush()
    with parts_of(app).store.read() as conn:
        assert [name for name in read_counters(conn) if name.startswith("refused:")] == []


# ---- the store and the batch --------------------------------------------------------------------


def test_store_that_is_down_is_503_for_the_whole_batch(
    app: Flask, door: DirectDoor, stored: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    door.answer([request_of(envelope())])  # The process knows the key from now on.
    with monkeypatch.context() as broken:
        broken.setattr(parts_of(app).store, "write", fail)
        answers = door.answer([request_of(envelope()), request_of(envelope())])
    for answer in answers:
        assert answer is not None and answer.status == "503 SERVICE UNAVAILABLE"
        assert b"Retry-After: 5\r\n" in answer.headers
        assert b"Access-Control-Allow-Origin: *\r\n" in answer.headers
    assert stored() == (1, 1)


def test_envelope_that_cannot_be_stored_does_not_harm_its_neighbours(
    app: Flask, door: DirectDoor, stored: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.intake import commit

    insert = commit._insert_envelopes

    def fail_for_one(conn: Any, fresh: list[Any], *rest: Any) -> Any:
        if any(prepared.event_id == EVENT_ID for prepared in fresh):
            raise ValueError("a fault of ours")
        return insert(conn, fresh, *rest)

    monkeypatch.setattr(commit, "_insert_envelopes", fail_for_one)
    answers = door.answer(
        request_of(envelope(event_id=event_id)) for event_id in ("1" * 32, EVENT_ID, "2" * 32)
    )
    assert [answer and answer.status for answer in answers] == ["200 OK", None, "200 OK"]
    assert stored() == (2, 2)
