"""A store that lived through every revision: rows of each of them are there after the upgrade.

Before each migration, an issue, its event and an alert are stored as the schema of then has them.
So each migration meets rows of its own time and of all times before, and one walk is enough.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import (
    JSON,
    Boolean,
    Connection,
    DateTime,
    LargeBinary,
    MetaData,
    String,
    Table,
    inspect,
)

from app.delivery.accounting import accounting, add
from app.protocol.packing import pack
from app.store import Store, utc_now
from app.store.migrations import newest_revision, upgrade
from tests.backup.stores import empty_urls
from tests.conftest import parts_of

__all__ = ["empty_urls"]

NEWEST = int(newest_revision() or 0)
# Of these tables each revision gets a row, if it has them. Parents come before their children.
TABLES = ("envelopes", "issues", "groupings", "events", "notices")
ALERTS_SINCE = 9
MESSAGE = "stored by revision {}"


def rows_of(number: int, at: datetime) -> dict[str, Any]:
    """Return values of columns, by their names, for the rows of a revision."""
    event_id, title = f"{number:032x}", MESSAGE.format(number)
    payload = json.dumps({"event_id": event_id, "level": "error", "message": title})
    body = f'{{"event_id":"{event_id}"}}\n{{"type":"event"}}\n{payload}\n'.encode()
    same = dict.fromkeys(("id", "envelope_id", "issue_id", "grouping_id", "times_seen"), number)
    hashes = dict.fromkeys(("grouping_hash", "hash", "uid", "event_id"), event_id)
    times = ("received_at", "stored_at", "timestamp", "first_seen", "last_seen", "at", "created_at")
    return {
        **{"project_id": 1, "item_types": "event", "state": "local", "status": "unresolved"},
        **{"level": "error", "type": "message", "title": title, "stored_event_count": 1},
        **{"grouping_version": "2", "version": "2", "scrubbed": [], "size_bytes": len(body)},
        **{"body": pack(body), "kind": "first_seen", **same, **hashes, **dict.fromkeys(times, at)},
    }


def insert_row(conn: Connection, name: str, values: dict[str, Any]) -> None:
    """Insert a row into a table of any revision; needed values that are not given are made up."""
    table = Table(name, MetaData(), autoload_with=conn, resolve_fks=False)
    row = {column.name: values[column.name] for column in table.c if column.name in values}
    for column in table.c:
        if column.name not in row and not column.nullable and column.server_default is None:
            row[column.name] = _made_up(column.type, values["at"])
    conn.execute(table.insert().values(row))


def _made_up(type_: Any, at: datetime) -> Any:
    kinds = ((JSON, {}), (Boolean, False), (DateTime, at), (LargeBinary, b"x"), (String, "x"))
    return next((value for kind, value in kinds if isinstance(type_, kind)), 0)


def walk(store: Store, at: datetime) -> None:
    """Upgrade a new store one revision after the other, and store rows at each of them."""
    for number in range(1, NEWEST + 1):
        with store.write(60, foreign_keys=False) as conn:
            upgrade(conn, f"{number:04}")
        with store.write(60) as conn:
            there = set(inspect(conn).get_table_names())
            for name in TABLES:
                if name in there:
                    insert_row(conn, name, rows_of(number, at))
            add(conn, {"accepted": 1, "state:local": 1})


@pytest.mark.one_database
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_addresses_of_every_revision_open_with_the_same_counts(
    make_app: Callable[..., Flask],
    login: Callable[[FlaskClient], FlaskClient],
    empty_urls: Callable[[str], str],
    kind: str,
) -> None:
    url = empty_urls(kind)
    store = Store(url)
    if store.is_sqlite:
        Path(str(store.url.database)).parent.mkdir()
    walk(store, utc_now() - timedelta(hours=30))
    store.dispose()
    app = make_app(DATABASE_URL=url)
    with parts_of(app).store.read() as conn:
        assert accounting(conn)["balanced"] and accounting(conn)["accepted"] == NEWEST
    client = login(app.test_client())
    wrong = []
    for number in range(1, NEWEST + 1):
        title = MESSAGE.format(number)
        issue = client.get(f"/api/issues/{number}").get_json()
        if (issue.get("title"), issue.get("times_seen")) != (title, number):
            wrong.append(f"issue of {number}: {issue}")
        pages = [f"/admin/issues/{number}", f"/admin/events/{number:032x}"]
        pages += [f"/admin/alerts/{number}"] if number >= ALERTS_SINCE else []
        for page in pages:
            answer = client.get(page)
            if answer.status_code != 200 or title not in answer.text:
                wrong.append(f"{page}: {answer.status_code}")
    assert not wrong
