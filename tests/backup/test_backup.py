"""A backup and its restoring: every row is there again, on either database, or nothing is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZipFile

import pytest
from flask import Flask
from sqlalchemy import DateTime, MetaData, Table, event, func, inspect, select, text

from app.backup import make
from app.backup.archive import new_file
from app.backup.check import Bars, check_file
from app.backup.errors import BackupError
from app.backup.files import Folders
from app.backup.make import make_backup
from app.backup.restore import restore_backup
from app.backup.tables import LEFT_OUT, tables_of_backup
from app.delivery.accounting import accounting
from app.delivery.tables import counters
from app.events.tables import envelopes, events
from app.intake.emergency import EmergencyFolder
from app.issues.tables import issues
from app.projects.tables import project_keys
from app.search.indexing import catch_up
from app.search.tables import is_full_text
from app.stats.tables import releases
from app.store import Store, UtcDateTime, utc_now
from app.store.migrations import upgrade
from config import ROOT
from tests.alert_steps import store_events
from tests.backup.stores import (
    any_bar,
    content_of,
    empty_urls,
    fill,
    folders_of,
    no_bar,
    put_in_emergency,
)
from tests.conftest import parts_of

__all__ = ["empty_urls"]

Urls = Callable[[str], str]


class DiskUsage(NamedTuple):
    total: int
    used: int
    free: int


def restored(path: Path, url: str, folder: Path, bars: Bars = no_bar) -> Store:
    store = Store(url)
    try:
        restore_backup(path, store, Folders(folder / "emergency", folder), bars)
    except BackupError:
        store.dispose()
        raise
    return store


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_restored_store_has_every_row_and_goes_on_from_there(
    app: Flask, tmp_path: Path, empty_urls: Urls, target: str
) -> None:
    fill(app)
    waiting = put_in_emergency(app, b"waits")
    parts = parts_of(app)
    with parts.store.write() as conn:  # Ids of removed releases are never given again.
        last_id = conn.scalar(select(func.max(releases.c.id)))
        conn.execute(releases.delete().where(releases.c.id == last_id))
    made = make_backup(parts.store, folders_of(app), tmp_path / "b.zip", no_bar)
    assert stat.S_IMODE((tmp_path / "b.zip").stat().st_mode) == 0o600
    assert made.manifest == check_file(tmp_path / "b.zip", no_bar)
    store = restored(tmp_path / "b.zip", empty_urls(target), tmp_path / "new")
    try:
        assert content_of(store) == content_of(parts.store)
        assert (tmp_path / "new" / "emergency" / waiting.name).read_bytes() == waiting.read_bytes()
        secret = tmp_path / "new" / "secret_key"
        assert secret.read_text() == app.secret_key and stat.S_IMODE(secret.stat().st_mode) == 0o600
        store.open()
        assert catch_up(store) == made.manifest.tables["events"].count
        with store.write() as conn:
            row = {"project_id": 1, "version": "next@1", "has_events": False}
            key = conn.execute(releases.insert().values(row)).inserted_primary_key
            assert key is not None and key[0] == last_id + 1
    finally:
        store.dispose()


def test_backup_has_every_table_but_what_is_made_again(app: Flask) -> None:
    with parts_of(app).store.read() as conn:
        names = {name for name in inspect(conn).get_table_names() if not is_full_text(name)}
    assert names - LEFT_OUT - {"alembic_version"} == {table.name for table in tables_of_backup()}


def test_backup_under_load_has_one_moment_of_the_store(
    app: Flask, tmp_path: Path, empty_urls: Urls
) -> None:
    parts = parts_of(app)
    before = store_events(app, *({"message": f"before {i}"} for i in range(20)))
    is_over, stored = threading.Event(), threading.Event()

    def load() -> None:
        while not is_over.is_set():
            store_events(app, {"message": "meanwhile"})
            stored.set()

    thread = threading.Thread(target=load)
    thread.start()
    assert stored.wait(10)
    try:
        make_backup(parts.store, folders_of(app), tmp_path / "b.zip", no_bar)
    finally:
        is_over.set()
        thread.join()
    store = restored(tmp_path / "b.zip", empty_urls("sqlite"), tmp_path / "new")
    with store.read() as conn:
        assert set(before) <= set(conn.scalars(select(events.c.event_id)))
        assert accounting(conn)["balanced"] and accounting(conn)["accepted"] > 20
    store.dispose()


def is_empty(url: str) -> bool:
    store = Store(url)
    if store.is_sqlite:
        return not Path(str(store.url.database)).exists()
    try:
        return store.schema_revision() is None
    finally:
        store.dispose()


# ---- the file -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_store(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a store with a project's key, one envelope and one emergency file."""
    folder = tmp_path_factory.mktemp("small")
    path = Path(shutil.copy(sqlite_template, folder / "store.sqlite3"))
    store, now = Store(f"sqlite:///{path}"), utc_now()
    EmergencyFolder(folder / "emergency").put("a" * 32, 1, now, b"{}\n", [])
    row = {"uid": "u", "project_id": 1, "item_types": "event", "state": "local"}
    with store.write() as conn:
        conn.execute(project_keys.insert().values(project_id=1, public_key="k", created_at=now))
        conn.execute(
            envelopes.insert().values(row | {"received_at": now, "size_bytes": 3, "body": b"{}\n"})
        )
        counts = ({"name": name, "value": 1} for name in ("accepted", "state:local"))
        conn.execute(counters.insert(), list(counts))
    store.dispose()
    return path


@pytest.fixture(scope="module")
def small_backup(small_store: Path) -> Path:
    store, folder = Store(f"sqlite:///{small_store}"), small_store.parent
    make_backup(store, Folders(folder / "emergency", folder), folder / "b.zip", no_bar)
    store.dispose()
    return folder / "b.zip"


@pytest.fixture
def backup(small_backup: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(small_backup, tmp_path / "b.zip"))


def changed(path: Path, name: str, change: Callable[[bytes], bytes | None]) -> Path:
    """Write a backup again with another content of a member."""
    new = path.with_name("changed.zip")
    with ZipFile(path) as old, ZipFile(new, "w", ZIP_DEFLATED) as out:
        for member in old.namelist():
            content = old.read(member)
            written = change(content) if member == name else content
            if written is not None:
                out.writestr(member, written)
    return new


def manifest_with(path: Path, change: Callable[[Any], None]) -> Path:
    def edit(content: bytes) -> bytes:
        found = json.loads(content)
        change(found)
        return json.dumps(found).encode()

    return changed(path, "manifest.json", edit)


def flipped(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    with ZipFile(path) as found:
        member = found.getinfo("rows/facts.jsonl")
    # In the middle of its bytes. Some bytes of the headers say nothing that anybody reads.
    content[member.header_offset + 30 + len(member.filename) + member.compress_size // 2] ^= 1
    new = path.with_name("flipped.zip")
    new.write_bytes(content)
    return new


def lzma_damaged(path: Path) -> Path:
    new = path.with_name("lzma.zip")
    with ZipFile(path) as old, ZipFile(new, "w", ZIP_LZMA) as out:
        out.writestr("manifest.json", old.read("manifest.json"))
        member = out.getinfo("manifest.json")
    content = bytearray(new.read_bytes())
    start = member.header_offset + 30 + len(member.filename) + 9
    content[start : start + 8] = b"\xff" * 8
    new.write_bytes(content)
    return new


def cut(path: Path) -> Path:
    new = path.with_name("cut.zip")
    new.write_bytes(path.read_bytes()[:-200])
    return new


def with_name(name: str) -> Callable[[Path], Path]:
    def change(path: Path) -> Path:
        line = json.dumps([name, "e30="]).encode() + b"\n"
        return changed(path, "files.jsonl", lambda content: line)

    return change


DAMAGES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "cut off": (cut, "cut off"),
    "a flipped bit": (flipped, "damaged"),
    "a row less": (
        lambda path: changed(path, "rows/facts.jsonl", lambda rows: rows[: rows.index(b"\n")]),
        "facts.jsonl is damaged: a line has no end",
    ),
    "another value": (
        lambda path: changed(
            path, "rows/projects.jsonl", lambda rows: rows.replace(b"DevEnviro", b"Somebody")
        ),
        "projects.jsonl is damaged: its SHA-256",
    ),
    "a table is missing": (
        lambda path: changed(path, "rows/events.jsonl", lambda rows: None),
        "the backup has no rows/events.jsonl",
    ),
    "a table that its manifest forgets too": (
        lambda path: manifest_with(path, lambda found: found["tables"].pop("events")),
        "the backup lacks 1 tables of its schema, such as events",
    ),
    "a number that no database has": (
        lambda path: consistent(path, "projects", lambda row: row.__setitem__(0, 2**64)),
        "row 1 of projects is damaged: a number has more than 64 bits",
    ),
    "a text that no file has": (
        lambda path: consistent(path, "projects", lambda row: row.__setitem__(1, "\ud800")),
        "row 1 of projects is damaged: .* surrogates",
    ),
    "a last id that no row has": (
        lambda path: manifest_with(path, lambda found: found["last_ids"].update(events=2**64)),
        "the manifest is damaged: 'last_ids.events'",
    ),
    "bytes of another compression": (lzma_damaged, "is damaged"),
    "no manifest": (lambda path: changed(path, "manifest.json", lambda text: None), "has no"),
    "a path that leads out": (with_name("../../../etc/cron.d/x"), "a name that none has"),
    "an absolute path": (with_name("/etc/passwd"), "a name that none has"),
    "a path in the folder": (with_name("emergency/../secret_key"), "a name that none has"),
    "a newer schema": (
        lambda path: manifest_with(path, lambda found: found.update(revision="9999")),
        "made by a newer version",
    ),
    "a newer format": (
        lambda path: manifest_with(path, lambda found: found.update(format=2)),
        "run a newer version",
    ),
    "a statement as a name": (
        lambda path: manifest_with(
            path, lambda found: found["tables"].update({"x; DROP TABLE y": found["files"]})
        ),
        "the manifest is damaged",
    ),
}


@pytest.mark.one_database
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_backup_is_refused_in_words_and_nothing_is_restored(
    backup: Path, tmp_path: Path, empty_urls: Urls, damage: str
) -> None:
    make_damage, words = DAMAGES[damage]
    damaged = make_damage(backup)
    with pytest.raises(BackupError, match=words):
        check_file(damaged, any_bar)
    with pytest.raises(BackupError, match=words):
        restored(damaged, empty_urls("sqlite"), tmp_path / "new", any_bar)
    assert not (tmp_path / "new").exists()


def consistent(path: Path, name: str, change: Callable[[list[Any]], None]) -> Path:
    """Change the first row of a table, and the manifest with it."""
    with ZipFile(path) as old:
        lines = old.read(f"rows/{name}.jsonl").splitlines()
    row = json.loads(lines[0])
    change(row)
    content = b"".join(line + b"\n" for line in [json.dumps(row).encode(), *lines[1:]])
    digest = hashlib.sha256(content).hexdigest()
    once = changed(path, f"rows/{name}.jsonl", lambda rows: content)
    once = once.rename(path.with_name("once.zip"))
    return manifest_with(once, lambda found: found["tables"][name].update(sha256=digest))


@pytest.mark.one_database
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_row_that_refers_to_a_missing_one_is_not_restored(
    backup: Path, tmp_path: Path, empty_urls: Urls, kind: str
) -> None:
    url = empty_urls(kind)
    of_nobody = consistent(backup, "project_keys", lambda row: row.__setitem__(1, 77))
    with pytest.raises(BackupError, match="project_keys refers to a"):
        restored(of_nobody, url, tmp_path / "new", any_bar)
    assert is_empty(url)


@pytest.mark.one_database
def test_accounting_that_does_not_add_up_is_not_restored(
    backup: Path, tmp_path: Path, empty_urls: Urls
) -> None:
    url = empty_urls("sqlite")
    wrong = consistent(backup, "counters", lambda row: row.__setitem__(1, row[1] + 7))
    with pytest.raises(BackupError, match="accounting of the restored store does not add up"):
        restored(wrong, url, tmp_path / "new", any_bar)
    assert is_empty(url)
    not_a_time = consistent(backup, "project_keys", lambda row: row.__setitem__(4, "now"))
    with pytest.raises(BackupError, match="row 1 of project_keys is damaged"):
        restored(not_a_time, url, tmp_path / "new", any_bar)


@pytest.mark.one_database
def test_backup_that_another_process_has_just_written_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.zip"

    def late(file: IO[bytes], operation: int) -> None:
        # The other process gave the file its name between our opening and our lock.
        os.write(file.fileno(), b"whole")
        path.with_name("b.zip.part").rename(path)

    monkeypatch.setattr("app.backup.archive.fcntl.flock", late)
    with pytest.raises(BackupError, match="has just written"), new_file(path):
        pass
    assert path.read_bytes() == b"whole"


# ---- the place ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.one_database
def test_restore_needs_an_empty_place_and_says_what_is_there(
    backup: Path, tmp_path: Path, empty_urls: Urls, kind: str
) -> None:
    url = empty_urls(kind)
    folder = tmp_path / "new"
    emergency = folder / "emergency"
    emergency.mkdir(parents=True)
    (emergency / f"{'a' * 32}.envelope").write_text("another event")
    with pytest.raises(BackupError, match="has 1 events that are not in the backup"):
        restored(backup, url, folder)
    (emergency / f"{'a' * 32}.envelope").unlink()
    store = restored(backup, url, folder)
    before = content_of(store)
    with pytest.raises(BackupError, match="the place is not empty: .*(bytes|tables)"):
        restored(backup, url, folder)
    assert content_of(store) == before
    store.dispose()


@pytest.mark.one_database
def test_restore_without_room_begins_nothing(
    backup: Path, tmp_path: Path, empty_urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: DiskUsage(10, 9, 1000))
    with pytest.raises(BackupError, match="MB free, the store needs about"):
        restored(backup, empty_urls("sqlite"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.one_database
def test_restore_under_a_running_service_is_refused(
    backup: Path, tmp_path: Path, empty_urls: Urls
) -> None:
    url = empty_urls("sqlite")
    running = Store(url)
    running.open()
    Path(str(running.url.database)).unlink()  # A person removed it, but forgot to stop the service.
    Path(f"{running.url.database}-wal").unlink()
    with pytest.raises(BackupError, match="the service is running here"):
        restored(backup, url, tmp_path / "new")
    running.dispose()


# ---- kills --------------------------------------------------------------------------------------

# Kills the process when a function of a module is called for the n-th time.
KILLED = """
import contextlib, os, signal, sys
from importlib import import_module
from pathlib import Path
from app.backup.files import Folders
from app.backup.make import make_backup
from app.backup.restore import restore_backup
from app.backup.tables import LEFT_OUT, tables_of_backup
from app.store import Store
what, path, url, folder, module, name, nth = sys.argv[1:]
module, left = import_module(module), int(nth)
before = getattr(module, name)
def killing(*given, **options):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(*given, **options)
setattr(module, name, killing)
@contextlib.contextmanager
def bar(*_):
    yield lambda done: None
folders = Folders(Path(folder) / "emergency", Path(folder))
if what == "make":
    make_backup(Store(url), folders, Path(path), bar)
else:
    restore_backup(Path(path), Store(url), folders, bar)
"""


def kill(what: str, path: Path, url: str, folder: Path, at: str, nth: int = 1) -> None:
    module, _, name = at.rpartition(".")
    arguments = [what, path, url, folder, module, name, nth]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.one_database
def test_killed_backup_has_no_file_of_its_name_and_the_next_one_does(
    small_store: Path, tmp_path: Path
) -> None:
    url, folder = f"sqlite:///{small_store}", small_store.parent
    kill("make", tmp_path / "b.zip", url, folder, "app.backup.make.lines_of", 20)
    assert [path.name for path in tmp_path.glob("b.zip*")] == ["b.zip.part"]
    with pytest.raises(BackupError, match="cut off"):
        check_file(tmp_path / "b.zip.part", any_bar)
    store = Store(url)
    make_backup(store, Folders(folder / "emergency", folder), tmp_path / "b.zip", no_bar)
    store.dispose()
    assert [path.name for path in tmp_path.glob("b.zip*")] == ["b.zip"]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("kind", "at", "nth"),
    [
        ("sqlite", "app.backup.restore.insertion", 20),
        ("postgresql", "app.backup.restore.upgrade", 2),
    ],
)
def test_killed_restore_leaves_no_store_and_the_next_one_succeeds(
    backup: Path, tmp_path: Path, empty_urls: Urls, kind: str, at: str, nth: int
) -> None:
    url, folder = empty_urls(kind), tmp_path / "new"
    kill("restore", backup, url, folder, at, nth)
    assert is_empty(url)
    restored(backup, url, folder).dispose()
    assert len(list((folder / "emergency").iterdir())) == 1
    if kind == "sqlite":
        there = {path.name for path in Path(url.removeprefix("sqlite:///")).parent.iterdir()}
        assert there == {"store.sqlite3", "store.sqlite3.lock"}


# ---- an older version ---------------------------------------------------------------------------

_OLD = (
    "INSERT INTO envelopes (id, uid, project_id, item_types, state, received_at, size_bytes, body)"
    " VALUES (1, 'u', 1, 'event', 'local', '2026-11-01 10:00:00', 1, 'x')",
    "INSERT INTO issues (id, project_id, title, culprit, type, level, status, times_seen,"
    " stored_event_count, users, first_seen, last_seen) VALUES (1, 1, 't', 'c', 'message',"
    " 'error', 'resolved', 1, 1, 0, '2026-11-01 10:00:00', '2026-11-01 10:00:00')",
    "INSERT INTO counters (name, value) VALUES ('accepted', 1), ('state:local', 1)",
)


def tables_of_old(store: Store) -> list[Table]:
    """Return the tables of a store of another revision, as the code of then knew them."""
    metadata = MetaData()

    def aware(inspector: object, table: object, column: Any) -> None:
        if isinstance(column["type"], DateTime):
            column["type"] = UtcDateTime()

    event.listen(metadata, "column_reflect", aware)
    with store.read() as conn:
        metadata.reflect(conn)
    left_out = LEFT_OUT | {"alembic_version"}
    return [table for table in metadata.sorted_tables if table.name not in left_out]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.one_database
def test_backup_of_an_older_version_is_migrated(
    tmp_path: Path, empty_urls: Urls, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    old = Store(empty_urls(kind))
    if old.is_sqlite:
        Path(str(old.url.database)).parent.mkdir()
    with old.write(foreign_keys=False) as conn:
        upgrade(conn, "0023")
        for statement in _OLD:
            conn.execute(text(statement.replace("'x'", "x'00'" if old.is_sqlite else "'x'")))
    tables = tables_of_old(old)
    with monkeypatch.context() as patch:
        patch.setattr(make, "newest_revision", lambda: "0023")
        patch.setattr(make, "tables_of_backup", lambda: tables)
        make_backup(old, Folders(tmp_path, tmp_path), tmp_path / "b.zip", no_bar)
    store = restored(tmp_path / "b.zip", empty_urls(kind), tmp_path / "new")
    store.check()
    with store.read() as conn:
        assert conn.execute(select(issues.c.title, issues.c.status)).all() == [("t", "resolved")]
        assert len(conn.execute(select(envelopes)).all()) == 1
    old.dispose()
    store.dispose()
