"""Stores to back up, and empty places to restore them to."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.backup.files import Folders
from app.backup.tables import tables_of_backup
from app.demo.filling import make_demo
from app.demo.plan import Plan
from app.intake.emergency import EmergencyFolder
from app.memory.tables import memories, memory_users
from app.store import Store, utc_now
from tests import conftest, postgres
from tests.alert_steps import store_events
from tests.conftest import parts_of
from tests.issues.payloads import Payload

MEMORY = {
    "id": str(uuid.uuid4()),
    "user_id": "ada",
    "digest": "0" * 64,
    "content": "Zürich, \u2028 “quoted”\n\ttabs and \\ and 🦆",
    "tags": ["a", None, 1.5],
    "metadata": {"z": 1, "a": {"b": []}},
    "vector": bytes(range(256)),
    "model": "m",
    "version": 2**60,
}


@contextmanager
def no_bar(label: str, steps: int) -> Iterator[Callable[[int], None]]:
    done = []
    yield done.append
    assert sum(done) == steps, label


@contextmanager
def any_bar(label: str, steps: int) -> Iterator[Callable[[int], None]]:
    """A bar of work that fails."""
    yield lambda done: None


def folders_of(app: Flask) -> Folders:
    # Not the folder of the application, which would store the events before they are in the backup.
    data = parts_of(app).config.DATA_DIR
    return Folders(data / "waiting", data)


def fill(app: Flask, events: int = 60) -> None:
    """Store every kind of value: times, days, bytes, JSON, numbers, texts of all letters."""
    parts, now = parts_of(app), utc_now()
    make_demo(parts.intake, Plan(events, bugs=10))
    payload: Payload = {"message": "of a program", "level": "error", "user": {"id": "u"}}
    store_events(app, payload)
    with parts.store.write() as conn:
        conn.execute(memory_users.insert().values(user_id="ada", version=2**60, memories=1))
        until = {"created_at": now, "updated_at": now, "expires_at": now + timedelta(days=1)}
        conn.execute(memories.insert().values(MEMORY | until))


def put_in_emergency(app: Flask, body: bytes = b"{}\n") -> Path:
    """Put an envelope into the emergency folder, and return the path of its file."""
    uid, folder = uuid.uuid4().hex, folders_of(app).emergency
    EmergencyFolder(folder).put(uid, 1, utc_now(), body, [])
    return folder / f"{uid}.envelope"


def content_of(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables that a backup has."""
    with store.read() as conn:
        return {
            table.name: sorted((tuple(row) for row in conn.execute(select(table))), key=repr)
            for table in tables_of_backup()
        }


@pytest.fixture
def empty_urls(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Make empty places, of SQLite or PostgreSQL."""
    made: list[str] = []

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / uuid.uuid4().hex / 'store.sqlite3'}"
        if conftest.NO_POSTGRES:
            pytest.skip("PostgreSQL does not answer")
        made.append(postgres.create(f"devenviro_{uuid.uuid4().hex[:12]}"))
        return postgres.url_of(made[-1])

    yield make
    for name in made:
        postgres.drop(name)
