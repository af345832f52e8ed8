"""The bytes of each project: counters and rows say the same, whatever was stored or removed."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from sqlalchemy import select, update

from app.events.tables import envelopes
from app.intake import project_bytes, tables
from app.intake.project_bytes import Bytes
from app.intake.retention import Limits, prune, purge_deleted
from app.issues.tables import issues
from app.issues.triage import delete
from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from app.store import Store, utc_now
from tests.conftest import parts_of


def store_one(app: Flask, project_id: int = 1, message: str = "broken", attached: int = 0) -> None:
    items = [Item({"type": "event"}, {"message": message})]
    if attached:
        items.append(Item({"type": "attachment", "filename": "a"}, b"x" * attached))
    parts_of(app).intake.accept(Envelope({}, items), project_id=project_id, timeout_s=10)


def said(store: Store) -> dict[int, tuple[int, int]]:
    with store.read() as conn:
        found = project_bytes.read(conn)
    return {key: (one.bytes, one.attachment_bytes) for key, one in found.items() if one.bytes}


def there(store: Store) -> dict[int, tuple[int, int]]:
    with store.read() as conn:
        found = project_bytes.counted(conn)
    return {key: (one.bytes, one.attachment_bytes) for key, one in found.items()}


def test_counters_say_what_the_rows_say_after_everything_that_stores_and_removes(
    app: Flask,
) -> None:
    store = parts_of(app).store
    create_project(store, "Shop", 2)
    for number in range(6):
        store_one(app, 1 + number % 2, "the same", attached=500 * (number % 3))
    store_one(app, 2, "of a deleted issue", attached=100)
    assert said(store) == there(store)
    assert said(store)[2][1] > 0
    prune(store, Limits(days=0, events=5, bytes=0))  # Too many.
    assert said(store) == there(store)
    with store.write() as conn:
        conn.execute(update(envelopes).values(received_at=utc_now() - timedelta(days=9)))
        delete(conn, list(conn.scalars(select(issues.c.id).where(issues.c.project_id == 2))))
    purge_deleted(store)
    assert said(store) == there(store)
    assert 2 not in there(store)
    prune(store, Limits(days=1, events=0, bytes=0))  # Too old.
    prune(store, Limits(days=0, events=0, bytes=1))  # Too large.
    assert said(store) == there(store)


def test_envelope_that_is_stored_twice_is_counted_once(app: Flask) -> None:
    store = parts_of(app).store
    for _ in range(2):
        item = Item({"type": "event"}, {"event_id": "a" * 32, "message": "again"})
        parts_of(app).intake.accept(Envelope({}, [item]), project_id=1, timeout_s=10)
    assert said(store) == there(store)


def test_recount_repairs_counters_that_drifted(app: Flask) -> None:
    store = parts_of(app).store
    store_one(app, attached=900)
    with store.write() as conn:
        conn.execute(update(tables.project_bytes).values(bytes=7, attachment_bytes=-3))
    project_bytes.recount(store)
    assert said(store) == there(store)
    with store.read() as conn:
        found = project_bytes.read(conn)[1]
    assert isinstance(found, Bytes)
    assert found.stored_at is not None
