"""Envelopes in the states that tests of the ledger need; delivery itself sets these states."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from flask import Flask, Response
from sqlalchemy import Engine, Row, event, insert, select, text

from app.delivery.destinations import set_dsn
from app.delivery.filter import DeliverySelection
from app.delivery.ledger import page_of_deliveries
from app.delivery.tables import destinations
from app.events.tables import envelopes
from app.projects import projects
from app.protocol.envelope import Envelope, Item
from app.store import Store, utc_now
from tests.conftest import parts_of
from tests.delivery_steps import deliver
from tests.mini_sentry import MiniSentry

Answer = Callable[[Envelope], Response | None]


def accept(app: Flask, message: str = "declined", kind: str = "event", project_id: int = 1) -> str:
    """Accept an envelope with one item, and return its event id."""
    event_id = uuid.uuid4().hex
    content = {"message": message} if kind == "event" else {"sid": message}
    payload = {"event_id": event_id, **content}
    envelope = Envelope({"event_id": event_id}, [Item({"type": kind}, payload)])
    parts_of(app).intake.accept(envelope, project_id=project_id, timeout_s=10)
    return event_id


def add_project(app: Flask, project_id: int, dsn: str | None) -> None:
    parts = parts_of(app)
    with parts.store.write() as conn:
        row = {"id": project_id, "name": f"shop {project_id}", "created_at": parts.started_at}
        conn.execute(projects.insert().values(row))
        if dsn:
            set_dsn(conn, project_id, dsn)


def answering(status: int, detail: str = "no") -> Answer:
    return lambda envelope: Response(f'{{"detail": "{detail}"}}', status)


def park(app: Flask, mini_sentry: MiniSentry, count: int = 1, detail: str = "no") -> None:
    """Store envelopes and park them: Sentry refuses them with status 400."""
    mini_sentry.answer = answering(400, detail)
    for number in range(count):
        accept(app, f"refused {number}")
    deliver(app)
    mini_sentry.answer = None


def rows_of(app: Flask, **filter: object) -> list[Row]:
    with parts_of(app).store.read() as conn:
        return page_of_deliveries(conn, DeliverySelection(**filter), limit=10_000).rows


def states_of(app: Flask) -> list[str]:
    """Return the states of all envelopes, oldest first."""
    return [row.state for row in reversed(rows_of(app))]


def set_columns(app: Flask, **values: object) -> None:
    """Write values into the row of every envelope, without changing the counters."""
    with parts_of(app).store.write() as conn:
        conn.execute(envelopes.update().values(values))


def id_of(app: Flask, event_id: str) -> int:
    with parts_of(app).store.read() as conn:
        query = select(envelopes.c.id).where(envelopes.c.event_id == event_id)
        return int(conn.execute(query).scalar_one())


def state_of(app: Flask, event_id: str) -> str:
    with parts_of(app).store.read() as conn:
        query = select(envelopes.c.state).where(envelopes.c.event_id == event_id)
        return str(conn.execute(query).scalar_one())


def refuse_attempts_of(app: Flask, envelope_id: int) -> None:
    """Make the database refuse attempts of one envelope, as a damaged index would."""
    store = parts_of(app).store
    with store.write() as conn:
        if store.is_sqlite:
            conn.execute(
                text(
                    "CREATE TRIGGER refused BEFORE INSERT ON attempts WHEN NEW.envelope_id ="
                    f" {envelope_id} BEGIN SELECT RAISE(ABORT, 'refused'); END"
                )
            )
        else:
            check = f"CHECK (envelope_id <> {envelope_id})"
            conn.execute(text(f"ALTER TABLE attempts ADD CONSTRAINT refused {check}"))


@contextmanager
def counting() -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield statements
    event.remove(Engine, "before_cursor_execute", note)


def add_projects_that_wait(store: Store, count: int, dsn: str, **state: object) -> None:
    now = utc_now()
    ids = range(100, 100 + count)
    waiting = {
        "item_types": "event",
        "state": "retry",
        "received_at": now,
        "size_bytes": 1,
        "body": b"x",
        "next_at": now + timedelta(hours=1),
        "attempts": 1,
    } | state
    with store.write() as conn:
        conn.execute(
            insert(projects), [{"id": id, "name": f"shop {id}", "created_at": now} for id in ids]
        )
        conn.execute(
            insert(destinations), [{"project_id": id, "dsn": dsn, "limits": {}} for id in ids]
        )
        conn.execute(
            insert(envelopes), [{"uid": f"{id:032x}", "project_id": id, **waiting} for id in ids]
        )
