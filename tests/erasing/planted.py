"""A store in which a person is everywhere, and a reader that looks for them everywhere."""

from __future__ import annotations

import gzip
import io
import json
import time
import uuid
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import JSON, LargeBinary, String, inspect, select, text

from app.alerts.tables import notice_issues, notices
from app.delivery.tables import attempts, destinations
from app.erasing.contents import inflated
from app.events.tables import envelopes, events
from app.issues import triage
from app.issues.similarity_index import read_unread
from app.issues.tables import issues
from app.memory.inputs import MemoryBody
from app.memory.scope import Scope
from app.projects import create_project
from app.protocol.envelope import Envelope, Item, parse_envelope
from app.protocol.packing import unpack
from app.search.indexing import catch_up
from app.store import Store, metadata, utc_now
from tests.conftest import Parts, parts_of

EMAIL, IP, USER_ID = "ann.lee@shop.example", "203.0.113.77", "8d2f4c1a-77aa-4b7e-9f10-5a3c2e1d0b9a"
OTHER = "joann.lee@shop.example"


def accept(parts: Parts, *items: Item, project_id: int = 1, event_id: str | None = None) -> str:
    event_id = event_id or uuid.uuid4().hex
    envelope = Envelope({"event_id": event_id}, list(items))
    parts.intake.accept(envelope, project_id=project_id, timeout_s=10)
    return event_id


def event_of(who: dict[str, Any], value: str, **more: Any) -> Item:
    """Return an event with a person in every place where SDKs put one."""
    name, address = str(who.get("email") or who.get("id")), who.get("ip_address", "")
    payload = {
        "user": who,
        "message": f"no order of {value}",
        "transaction": f"/orders/{value}",
        "culprit": f"/orders/{value}",
        "logger": f"orders:{value}",
        "release": "shop@1.0",
        "tags": [["user.id", str(who.get("id"))], ["customer", value], ["user.email", name]],
        "extra": {value: {"seen": [value, {"deep": f"<{value.upper()}>"}]}},
        "contexts": {"account": {"user_id": who.get("id"), "mail": f"mailto:{value}"}},
        "breadcrumbs": {
            "values": [
                {"category": "http", "data": {"url": f"https://x.example/?q={value}&n=1"}},
                {"category": "query", "message": f"SELECT 1 WHERE mail = '{value}'"},
            ]
        },
        "request": {
            "url": f"https://shop.example/orders?mail={value.replace('@', '%40')}",
            "headers": [["X-Forwarded-For", f"{address}, 10.0.0.1"]],
            "env": {"REMOTE_ADDR": address},
            "data": json.dumps({"mail": value}).replace("@", "\\u0040"),
        },
        "exception": {
            "values": [
                {
                    "type": "LookupError",
                    "value": f"no order of {value}",
                    "stacktrace": {
                        "frames": [
                            {
                                "function": "find",
                                "filename": "orders.py",
                                "in_app": True,
                                "lineno": 7,
                                "vars": {"mail": repr(value), "html": value.replace("@", "&#64;")},
                            }
                        ]
                    },
                }
            ]
        },
    }
    return Item({"type": "event"}, payload | more)


def attachment(name: str, content: bytes) -> Item:
    return Item({"type": "attachment", "filename": name, "content_type": "text/plain"}, content)


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.txt", content)
    return file.getvalue()


def plant(app: Flask, value: str, who: dict[str, Any]) -> str:
    """Put a person everywhere, and another one beside them. Return the id of their event.

    :param value: the identifier. :param who: the user of the events.
    """
    parts = parts_of(app)
    create_project(parts.store, "Shop", 2)
    line = f"{OTHER} bought; {value} bought too\n".encode()
    ours = accept(parts, event_of(who, value), attachment("orders.log", line), project_id=2)
    accept(
        parts, attachment("screen.png", b"\x89PNG\0" + value.encode()), event_id=ours, project_id=2
    )
    other = {"id": "7", "email": OTHER, "ip_address": "203.0.113.7"}
    accept(parts, event_of(other, OTHER), project_id=2)
    named = {"message": f"{OTHER} wrote to {value}", "user": other}
    files = (attachment("a.gz", gzip.compress(line)), attachment("a.zip", zipped(line)))
    accept(parts, Item({"type": "event"}, named), *files, project_id=2)
    plant_other_items(parts, value, who, ours)
    catch_up(parts.store)
    read_unread(parts.store, 100)
    plant_rows(parts.store, value)
    parts.memories.embedders.get(60)
    parts.memories.add(Scope(value), MemoryBody(content="likes green tea"))
    by_run = Scope("somebody", "an agent", f"chat with {value}")
    parts.memories.add(by_run, MemoryBody(content=f"met {value} at the fair"))
    plant_emergency(parts, value)
    return ours


def plant_other_items(parts: Parts, value: str, who: dict[str, Any], about: str) -> None:
    now = time.time()
    transaction = {
        "type": "transaction",
        "transaction": f"/orders/{value}",
        "start_timestamp": now - 1,
        "timestamp": now,
        "contexts": {"trace": {"trace_id": uuid.uuid4().hex, "span_id": "a" * 16}},
        "spans": [{"op": "db", "description": f"SELECT '{value}'", "span_id": "b" * 16}],
        "user": who,
        "release": "shop@1.0",
    }
    said = {"message": f"call {value}", "contact_email": value, "name": "Ann"}
    session = {
        "sid": uuid.uuid4().hex,
        "did": value,
        "init": True,
        "started": "2026-11-27T10:00:00Z",
        "attrs": {"release": "shop@1.0"},
    }
    log = {
        "timestamp": now,
        "trace_id": uuid.uuid4().hex,
        "level": "info",
        "body": f"hello {value}",
        "attributes": {
            "user.id": {"value": str(who.get("id", value)), "type": "string"},
            "user.email": {"value": value, "type": "string"},
        },
    }
    line = {**log, "body": f"hello {OTHER}", "attributes": {}}
    container = {"item_count": 2, "content_type": "application/vnd.sentry.items.log+json"}
    for item in (
        Item({"type": "transaction"}, transaction),
        Item({"type": "feedback"}, {"contexts": {"feedback": said}, "user": who}),
        Item(
            {"type": "user_report"},
            {"event_id": about, "name": "Ann", "email": value, "comments": "it broke"},
        ),
        Item({"type": "session"}, session),
        Item({"type": "log", **container}, {"items": [log, line]}),
        Item({"type": "replay_event"}, json.dumps({"user": who, "urls": [value]}).encode()),
        Item({"type": "statsd"}, f"orders:1|c|#mail:{value}".encode()),
    ):
        accept(parts, item, project_id=2)
    parts.intake.flush()


def plant_rows(store: Store, value: str) -> None:
    """Put the identifier into rows that a forwarder, an alert or a person would write."""
    with store.write() as conn:
        issue_id = conn.scalar(select(issues.c.id).order_by(issues.c.id))
        triage.comment(conn, issue_id, f"asked {value} by phone", "sam")
        notice = {"uid": "c" * 32, "kind": "new", "at": utc_now(), "title": f"New: {value}"}
        row = notices.insert().values(notice | {"text": f"hello {value}", "total": 1})
        number = conn.execute(row.returning(notices.c.id)).scalar_one()
        named = {"title": value, "place": value, "events": 1, "users": 1, "cause": value}
        whole = {"notice_id": number, "position": 1, "issue_id": issue_id, **named}
        conn.execute(notice_issues.insert().values(whole))
        envelope_id = conn.scalar(select(envelopes.c.id))
        attempt = {"at": utc_now(), "ms": 1.0, "state": "parked", "worker": "w"}
        conn.execute(
            attempts.insert().values(attempt | {"envelope_id": envelope_id, "error": f"no {value}"})
        )
        row = {"project_id": 2, "limits": {}, "cause": f"no {value}", "failures": 0}
        conn.execute(destinations.insert().values(row))


def plant_emergency(parts: Parts, value: str) -> None:
    folder = parts.intake.emergency
    lines = [{"event_id": "d" * 32}, {"type": "event"}, {"message": f"{OTHER} met {value}"}]
    body = "\n".join(map(json.dumps, lines)).encode()
    folder.put("d" * 32, 1, datetime.now(UTC), body, [])
    damaged = (folder.path / f"{'d' * 32}.envelope").read_text()[:-90]
    (folder.path / "half.damaged").write_text(damaged)


# ---- the reader ---------------------------------------------------------------------------------


def texts_of(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield everything that the product can read, as text, with the place where it stands."""
    parts = parts_of(app)
    with parts.store.read() as conn:
        for table in inspect(conn).get_table_names():
            if table.startswith("search_") and parts.store.is_sqlite:
                continue
            for row in conn.execute(text(f'SELECT * FROM "{table}"')).mappings():
                for name, value in row.items():
                    if table == "envelopes" and name == "body":
                        yield from _of_body(bytes(value))
                    elif value is not None:
                        yield f"{table}.{name}", str(value)
    for path in parts.intake.emergency.path.glob("*"):
        yield path.name, path.read_text()
    for waiting in parts.intake.emergency.waiting():
        yield from _of_content("emergency", waiting.body)


def _of_body(stored: bytes) -> Iterator[tuple[str, str]]:
    yield from _of_content("envelopes.body", unpack(stored))


def _of_content(place: str, body: bytes) -> Iterator[tuple[str, str]]:
    yield place, body.decode("utf-8", "replace")
    for item in parse_envelope(body).items:
        if isinstance(item.payload, bytes):
            for content in inflated(item.payload):
                yield f"{place} compressed", content.decode()


def hits(app: Flask, value: str) -> list[str]:
    """Return where an identifier is found, in any case and in usual encodings."""
    forms = {value.lower()} | {
        value.lower().replace("@", code) for code in ("%40", "\\u0040", "&#64;", "&amp;#64;")
    }
    others = OTHER.lower()
    found = []
    for place, content in texts_of(app):
        lower = content.lower().replace(others, "")
        for code in ("%40", "\\u0040", "\\\\u0040", "&#64;"):
            lower = lower.replace(others.replace("@", code), "")
        found += [place for form in forms if form in lower]
    return found


def raw_bytes_of(store: Store) -> bytes:
    """Return the bytes of the SQLite files, in lower case."""
    path = Path(str(store.url.database))
    files = (Path(f"{path}{suffix}") for suffix in ("", "-wal"))
    return b"".join(file.read_bytes() for file in files if file.exists()).lower()


def text_columns() -> set[tuple[str, str]]:
    """Return every column of texts or bytes that SQLAlchemy knows."""
    return {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, String | JSON | LargeBinary)
    }


def event_row(store: Store, event_id: str) -> Any:
    with store.read() as conn:
        return conn.execute(select(events).where(events.c.event_id == event_id)).one()
