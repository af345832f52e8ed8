"""A store of before releases of logs: those that only lines named become known."""

from __future__ import annotations

from datetime import timedelta

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, select, text

from app.projects import create_project
from app.stats.releases import MAX_RELEASES, MAX_UNPROVEN
from app.stats.tables import releases
from app.store import Store, utc_now
from app.store.migrations import MIGRATIONS
from tests.store.test_upgraded_clocks import empty_url

__all__ = ["empty_url"]

_LINE = (
    "INSERT INTO log_lines (id, project_id, at, level, release, body, attributes, size_bytes)"
    " VALUES (:id, :project, :at, 'info', :release, 'x', '{}', 1)"
)
_RELEASE = (
    "INSERT INTO releases (project_id, version, first_seen, last_seen, has_events)"
    " VALUES (:project, :version, :at, :at, true)"
)


def _store_before(url: str) -> Store:
    store = Store(url)
    with store.write(foreign_keys=False) as conn:
        config = AlembicConfig(attributes={"connection": conn})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0057")
    for name in ("two", "three", "four"):
        create_project(store, name)
    return store


class _Past:
    """Writes rows of the past, each a minute after the one before."""

    def __init__(self, conn: Connection) -> None:
        self.conn, self.number = conn, 0

    def _at(self) -> str:
        self.number += 1
        at = utc_now().replace(microsecond=0) - timedelta(days=20) + timedelta(minutes=self.number)
        return f"{at:%Y-%m-%d %H:%M:%S}" + (
            ".000000" if self.conn.dialect.name == "sqlite" else "+00"
        )

    def line(self, project: int, release: str) -> None:
        at = self._at()
        given = {"id": self.number, "project": project, "at": at, "release": release}
        self.conn.execute(text(_LINE), given)

    def release(self, project: int, version: str) -> None:
        given = {"project": project, "version": version, "at": self._at()}
        self.conn.execute(text(_RELEASE), given)


def _of_logs(store: Store, project: int) -> list[str]:
    of = releases.c
    query = select(of.version).where(of.project_id == project, of.has_logs).order_by(of.id)
    with store.read() as conn:
        return list(conn.scalars(query))


def test_releases_that_only_lines_named_are_known_after_the_upgrade(empty_url: str) -> None:
    store = _store_before(empty_url)
    with store.write() as conn:
        past = _Past(conn)
        # Only lines named these; the last one is the newest.
        for version in ("b@2", "a@1", "b@2"):
            past.line(1, version)
        # An event named the newest one: an older one must not come after it, a newer one does.
        past.line(2, "old")
        past.release(2, "met")
        past.line(2, "met")
        past.line(2, "new")
        past.line(2, "")
        for number in range(MAX_UNPROVEN + 2):
            past.line(3, f"shop@{number}")
        for number in range(MAX_RELEASES - 1):
            past.release(4, f"known@{number}")
        past.line(4, "full@1")
        past.line(4, "full@2")
    store.migrate()
    assert _of_logs(store, 1) == ["b@2", "a@1"]
    assert _of_logs(store, 2) == ["met", "new"]
    assert _of_logs(store, 3) == [f"shop@{number + 2}" for number in range(MAX_UNPROVEN)]
    assert _of_logs(store, 4) == ["full@2"]
    store.dispose()
