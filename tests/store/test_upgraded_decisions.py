"""A store of before issues could be assigned: what was ignored keeps who did it, and when."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import delete, select, text

from app.accounts.tables import users
from app.issues.tables import issues
from app.issues.unignoring import end_ignoring
from app.store import Store, utc_now
from app.store.migrations import MIGRATIONS
from tests import conftest, postgres

_ISSUE = (
    "INSERT INTO issues (id, project_id, title, culprit, type, level, status, times_seen,"
    " stored_event_count, users, first_seen, last_seen) VALUES (:id, 1, 't', 'c', 'message',"
    " 'error', :status, 3, 3, 0, '2026-11-01 10:00:00', '2026-11-01 10:00:00')"
)
_TRANSITION = (
    "INSERT INTO transitions (issue_id, at, kind, actor) VALUES (:issue, :at, :kind, :actor)"
)
_HISTORY = [
    (1, "2026-11-02 00:00:00", "ignored", "ada"),
    (1, "2026-11-03 00:00:00", "ignored", "bob"),
    (2, "2026-11-02 00:00:00", "ignored", "rule: noise"),
    (3, "2026-11-02 00:00:00", "ignored", "ada"),
    (3, "2026-11-03 00:00:00", "reopened", "ada"),
]


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


def test_upgrade_keeps_who_ignored_and_issues_can_be_assigned(empty_url: str) -> None:
    store = Store(empty_url)
    with store.write(foreign_keys=False) as conn:
        config = AlembicConfig(attributes={"connection": conn})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0026")
    with store.write() as conn:
        for number, status in ((1, "ignored"), (2, "ignored"), (3, "unresolved")):
            conn.execute(text(_ISSUE), {"id": number, "status": status})
        for issue, at, kind, actor in _HISTORY:
            given = {"issue": issue, "at": at, "kind": kind, "actor": actor}
            conn.execute(text(_TRANSITION), given)
    store.migrate()
    assert end_ignoring(store, utc_now()) == 0
    with store.write() as conn:
        found = {row.id: row for row in conn.execute(select(issues))}
        row = {"username": "ada", "session_key": "k", "created_at": utc_now()}
        conn.execute(users.insert().values(row))
        conn.execute(issues.update().values(assigned_to="ada"))
        conn.execute(delete(users))
        assert set(conn.scalars(select(issues.c.assigned_to))) == {None}
    assert [found[number].ignored_by for number in (1, 2, 3)] == ["bob", None, None]
    assert f"{found[1].ignored_at:%Y-%m-%d}" == "2026-11-03" and found[2].ignored_at is None
    assert {row.ignore_until for row in found.values()} == {None}
    assert [found[number].status for number in (1, 2, 3)] == ["ignored", "ignored", "unresolved"]
    store.dispose()
