"""A store of before clocks were corrected: what clients put into the future is where it belongs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import select, text

from app.events.tables import events
from app.issues.tables import groupings, issue_hours, issues
from app.store import Store
from app.store.migrations import MIGRATIONS
from tests import conftest, postgres

_EVENT = (
    "INSERT INTO events (event_id, project_id, issue_id, envelope_id, level, title, culprit,"
    " timestamp, received_at, stored_at, scrub_ms, scrubbed, duplicates) VALUES"
    " (:id, 1, 1, 1, 'error', 't', 'c', :at, :received, :received, 0, '[]', 0)"
)
_EARLIER = (
    "INSERT INTO envelopes (id, uid, project_id, item_types, state, received_at, size_bytes, body)"
    " VALUES (1, 'u', 1, 'event', 'local', '2026-11-01 10:00:00', 1, 'x')",
    "INSERT INTO issues (id, project_id, title, culprit, type, level, status, times_seen,"
    " stored_event_count, users, first_seen, last_seen) VALUES (1, 1, 't', 'c', 'message',"
    " 'error', 'resolved', 3, 3, 0, '0001-01-01 00:00:00', '2093-01-01 00:00:00')",
    "INSERT INTO groupings (project_id, version, hash, key, issue_id, times_seen, first_seen,"
    " last_seen) VALUES (1, '2', 'h', 'k', 1, 3, '2026-11-01 10:00:00', '2093-01-01 00:00:00')",
    "INSERT INTO transitions (issue_id, at, kind) VALUES (1, '2026-11-02 00:00:00', 'resolved')",
    "INSERT INTO issue_hours (issue_id, hour, events) VALUES (1, '2026-11-01 10:00:00', 3)",
)
_SAID = {
    "right": ("2026-11-01 09:59:30", "2026-11-01 10:00:00"),
    "future": ("2093-01-01 00:00:00", "2026-11-01 11:00:00"),
    "zero": ("0001-01-01 00:00:00", "2026-11-01 12:00:00"),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.sqlite3'}"
        return
    if conftest.NO_POSTGRES:
        pytest.skip("PostgreSQL does not answer")
    name = f"devenviro_{uuid.uuid4().hex[:12]}"
    postgres.create(name)
    yield postgres.url_of(name)
    postgres.drop(name)


def test_upgrade_gives_impossible_times_the_time_of_receipt(empty_url: str) -> None:
    store = Store(empty_url)
    with store.write(foreign_keys=False) as conn:
        config = AlembicConfig(attributes={"connection": conn})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0023")
    with store.write() as conn:
        for statement in _EARLIER:
            conn.execute(text(statement))
        for name, (at, received) in _SAID.items():
            conn.execute(text(_EVENT), {"id": name, "at": at, "received": received})
    store.migrate()
    with store.read() as conn:
        found = {row.event_id: row for row in conn.execute(select(events))}
        issue = conn.execute(select(issues)).one()
        grouping = conn.execute(select(groupings)).one()
        hour = conn.execute(select(issue_hours)).one()
    assert [found[name].timestamp_corrected for name in _SAID] == [None, "future", "impossible"]
    assert found["right"].timestamp < found["right"].received_at
    for name in ("future", "zero"):
        assert found[name].timestamp == found[name].received_at
    assert found["future"].client_timestamp.startswith("2093-01-01")
    assert issue.first_seen == found["right"].timestamp
    assert issue.last_seen == grouping.last_seen == found["zero"].received_at
    assert f"{issue.resolved_at:%Y-%m-%d}" == "2026-11-02"
    assert (hour.events, hour.received) == (3, 3)
    store.dispose()
