"""The store: its schema, its transactions, its faults."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import func, select

from app.delivery.tables import counters
from app.projects import projects
from app.search.tables import is_full_text
from app.store import (
    DriverStatement,
    Store,
    StoreBusy,
    StoreUnavailable,
    insert,
    insert_for,
    inserted,
    metadata,
)
from app.store.leases import claim
from app.store.migrations import MIGRATIONS, newest_revision
from tests.lease_expiry import let_leases_pass


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    store.open()
    yield store
    store.dispose()


def test_migrations_make_exactly_the_tables_of_the_code(store: Store) -> None:
    with store.read() as conn:
        # The tables of full text are of one database each.
        opts = {"compare_type": False, "include_object": lambda *it: not is_full_text(it[1])}
        context = MigrationContext.configure(conn, opts=opts)
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(store: Store) -> None:
    before = store.schema_revision()
    store.migrate()
    store.check()
    assert store.schema_revision() == before is not None
    with store.read() as conn:
        assert conn.execute(select(func.count()).select_from(projects)).scalar_one() == 1


def _migrate(url: str) -> None:
    store = Store(url)
    store.open()
    store.check()
    store.dispose()


def test_processes_that_migrate_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'store.sqlite3'}"
    processes = [
        multiprocessing.get_context("spawn").Process(target=_migrate, args=(url,)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4


def test_empty_store_does_not_pass_the_check(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    with pytest.raises(StoreUnavailable, match="flask db upgrade"):
        store.check()
    store.dispose()


def test_store_of_a_newer_version_is_refused_in_words(store: Store) -> None:
    with store.write() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreUnavailable, match="newer version"):
        store.migrate()


def test_exception_in_a_write_rolls_everything_back(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as conn:
        conn.execute(insert(conn, counters).values(name="x", value=1))
        raise RuntimeError("no")
    with store.read() as conn:
        assert conn.execute(select(counters)).all() == []


def test_two_statements_of_one_read_see_the_same_state_of_the_store(store: Store) -> None:
    count = select(func.count()).select_from(counters)
    with store.read() as conn:
        assert conn.scalar(count) == 0
        with store.write() as other:
            other.execute(insert(other, counters).values(name="x", value=1))
        assert conn.scalar(count) == 0
    with store.read() as conn:
        assert conn.scalar(count) == 1


@pytest.mark.parametrize("opened_by", ["read", "write"])
def test_result_that_is_not_read_to_its_end_does_not_age_the_next_read(
    store: Store, opened_by: str
) -> None:
    count = select(func.count()).select_from(counters)
    with store.write() as conn:
        values = [{"name": str(number), "value": number} for number in range(3000)]
        conn.execute(counters.insert(), values)
    with store.read() if opened_by == "read" else store.write() as conn:
        open_results = [
            conn.execute(select(counters)),
            conn.connection.cursor().execute("SELECT * FROM counters"),
        ]
        assert [len(result.fetchmany(2)) for result in open_results] == [2, 2]
    with store.write() as conn:
        conn.execute(insert(conn, counters).values(name="new", value=1))
    with store.read() as conn:
        assert conn.scalar(count) == 3001


def test_writer_waits_for_another_one_and_gives_up_in_time(store: Store) -> None:
    other = Store(store.url.render_as_string(hide_password=False))
    with store.write():
        started = time.monotonic()
        with pytest.raises(StoreBusy), other.write(timeout_s=0.2):
            pass
        assert time.monotonic() - started > 0.1
        with pytest.raises(StoreBusy), store.write(timeout_s=0.05):
            pass
    with other.write(timeout_s=5) as conn:
        assert inserted(conn, insert(conn, counters).values(name="x", value=1))
        assert not inserted(conn, insert(conn, counters).values(name="x", value=2))
    other.dispose()


def test_writers_of_many_threads_lose_no_update(store: Store) -> None:
    def bump() -> None:
        for _ in range(20):
            with store.write(timeout_s=30) as conn:
                value = conn.execute(select(counters.c.value)).scalar() or 0
                statement = insert(conn, counters).values(name="x", value=value + 1)
                conn.execute(
                    statement.on_conflict_do_update(
                        index_elements=["name"], set_={"value": statement.excluded.value}
                    )
                )

    threads = [threading.Thread(target=bump) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as conn:
        assert conn.execute(select(counters.c.value)).scalar() == 80


def test_times_come_back_aware_and_in_utc(store: Store) -> None:
    moment = datetime(2026, 7, 1, 14, 30, 5, 123456, tzinfo=timezone(timedelta(hours=2)))
    with store.write() as conn:
        conn.execute(insert(conn, projects).values(id=7, name="x", created_at=moment))
    with store.read() as conn:
        read = conn.execute(select(projects.c.created_at).where(projects.c.id == 7)).scalar_one()
    assert read == moment and read.tzinfo is UTC


def test_commits_are_synced_to_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    store = Store(f"sqlite:///{path}")
    store.open()
    with store.write() as conn:
        assert conn.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert conn.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert conn.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    store.dispose()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_database_that_does_not_answer_is_unavailable() -> None:
    store = Store("postgresql+psycopg://nobody:sesame@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailable) as caught, store.read():
        pass
    assert "sesame" not in str(caught.value)
    store.dispose()


# ---- a store that is damaged --------------------------------------------------------------------


def damage(path: Path) -> None:
    """Overwrite pages in the middle of the file."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xde\xad" * 20_000)


@pytest.mark.parametrize("content", ["pages", "garbage"])
def test_damaged_store_is_moved_aside_and_the_service_starts(
    tmp_path: Path, make_app: Callable[..., Flask], content: str
) -> None:
    path = tmp_path / "damaged" / "store.sqlite3"
    url = f"sqlite:///{path}"
    before = Store(url)
    before.open()
    before.dispose()
    if content == "garbage":
        path.write_bytes(b"this is no database, but it is long enough to be one" * 100)
    else:
        damage(path)
    app = make_app(DATABASE_URL=url)
    client = app.test_client()
    event_id = client.get("/sentry-debug").json["event_id"]
    assert client.get(f"/api/events/{event_id}").status_code == 200
    health = client.get("/health")
    assert (health.status_code, health.json["checks"]["store"]) == (200, "warn")
    assert len(list(path.parent.glob("store.sqlite3.damaged-*"))) >= 1


def test_store_in_use_is_not_moved_from_under_anybody(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    user = Store(f"sqlite:///{path}")
    user.open()
    inode = path.stat().st_ino
    damage(path)
    second = Store(f"sqlite:///{path}")
    with contextlib.suppress(StoreUnavailable):
        second.open()
    assert path.stat().st_ino == inode
    user.dispose()
    second.dispose()


def test_whole_store_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    for _ in range(2):
        store = Store(f"sqlite:///{path}")
        store.open()
        store.dispose()
    assert list(tmp_path.glob("*.damaged-*")) == []


# ---- leases -------------------------------------------------------------------------------------


@pytest.fixture
def _no_collection() -> Iterator[None]:
    """Close only what the code itself closes, not what the garbage collector finds."""
    gc.disable()
    yield
    gc.enable()


def open_files(path: Path) -> list[str]:
    """Return the files of a store, without its lock files, that this process has open."""
    names = []
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            names.append(os.readlink(one))
    return [name for name in names if name.removesuffix("-wal").removesuffix("-shm") == str(path)]


@pytest.mark.usefixtures("_no_collection")
def test_failed_statement_leaves_no_connection_open(tmp_path: Path) -> None:
    # A connection that could only read the file would keep all new ones from writing.
    path = tmp_path / "store.sqlite3"
    store = Store(f"sqlite:///{path}")
    store.open()
    statement = DriverStatement(lambda name: insert_for(name, counters))
    errors = []  # They keep their frames, as a log does.
    with store.read() as reader:
        reader.execute(select(projects.c.id)).fetchone()
        for _ in range(3):
            with pytest.raises(StoreUnavailable) as caught, store.write() as conn:
                conn.exec_driver_sql("PRAGMA query_only=ON")
                statement.run(conn, [{"name": "a", "value": 1}])
            errors.append(caught.value)
        assert open_files(path) != []
    assert len(errors) == 3 and open_files(path) == []
    store.dispose()


def test_lease_has_one_owner_until_it_runs_out(store: Store) -> None:
    hour = timedelta(hours=1)
    assert claim(store, "retention", "a", hour)
    assert not claim(store, "retention", "b", hour)
    assert claim(store, "retention", "a", hour)
    assert claim(store, "delivery", "b", hour)
    let_leases_pass(store, hour)
    assert claim(store, "retention", "b", hour)
    assert not claim(store, "retention", "a", hour)


def test_newest_revision_is_the_head_of_the_migrations() -> None:
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert newest_revision() == head
