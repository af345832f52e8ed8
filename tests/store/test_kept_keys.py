"""A damaged SQLite store keeps its keys: they are read from it, or from the copy beside it."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.alerts.channels.stored import list_channels
from app.delivery.destinations import set_dsn
from app.projects import create_project, find_project, list_projects, revoke_key, rotate_key
from app.store import Store
from app.store.kept_keys import copy_of
from tests.alert_steps import add_webhook
from tests.conftest import parts_of, worker_of
from tests.ingest.test_door import envelope

KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
REVOKED = "b" * 32
UPSTREAM = "https://0123456789abcdef@sentry.example.org/7"
PASSWORD = "correct-horse-battery"  # noqa: S105 -- of a store that lives for a second

# SQLite alone, by the fixture below: PostgreSQL has no file of ours.
pytestmark = pytest.mark.one_database

Damage = Callable[[Path], None]


def header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xde\xad" * 50)


def first_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xde\xad" * 4096)


def middle(path: Path) -> None:
    """Overwrite every second page after the first ones."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        for start in range(8192 * 20, size, 8192 * 2):
            file.seek(start)
            file.write(b"\xde\xad" * 4096)


def every_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xde\xad" * ((path.stat().st_size - 8192) // 2))


def truncated(path: Path) -> None:
    path.write_bytes(b"")


def halved(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 + 100)


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, but it is long enough to be one" * 1000)


DAMAGES = [header, first_page, middle, every_page, truncated, halved, garbage]


@pytest.fixture
def database_url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "store.sqlite3"


@pytest.fixture
def start(make_app: Callable[..., Flask]) -> Callable[[], Flask]:
    return lambda: make_app(ALERTS_ALLOW_PRIVATE_TARGETS=True)


@pytest.fixture
def instance(start: Callable[[], Flask]) -> str:
    """A store with all there is to keep, closed again; its id."""
    app = start()
    parts = parts_of(app)
    create_project(parts.store, "Shop", 42, KEY)
    rotate_key(parts.store, 42, REVOKED)
    revoke_key(parts.store, 42, REVOKED)
    with parts.store.write() as conn:
        set_dsn(conn, 42, UPSTREAM)
    parts.accounts.set_password("ada", PASSWORD)
    parts.accounts.create_token("ci", ("read",))
    add_webhook(app, "http://127.0.0.1:9009/hook")
    worker_of(app).run_once()
    found = parts.store.instance_id()
    parts.store.dispose()
    return found


def send(client: FlaskClient, key: str = KEY, project_id: int = 42) -> int:
    auth = {"X-Sentry-Auth": f"Sentry sentry_key={key}"}
    return client.post(f"/api/{project_id}/envelope/", data=envelope(), headers=auth).status_code


def assert_all_is_there(app: Flask, instance: str) -> None:
    parts = parts_of(app)
    assert send(app.test_client()) == 200
    assert send(app.test_client(), REVOKED) == send(app.test_client(), "f" * 32) == 403
    assert parts.accounts.authenticate("ada", PASSWORD) is not None
    assert parts.store.instance_id() == instance
    with parts.store.read() as conn:
        assert [channel.name for channel in list_channels(conn)] == ["hook"]
        assert parts.destinations.find(conn, 42).dsn == UPSTREAM
        assert find_project(conn, 42).name == "Shop"
        assert len(find_project(conn, 1).keys) == 1
    assert create_project(parts.store, "Next").id == 43


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_store_takes_over_all_who_may_come_in(
    start: Callable[[], Flask], path: Path, instance: str, damage: Damage
) -> None:
    damage(path)
    app = start()
    assert_all_is_there(app, instance)
    assert parts_of(app).store.damaged_files()
    assert app.test_client().get("/health").json["checks"]["store"] == "warn"


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_the_copy_no_key_is_refused_for_good(
    start: Callable[[], Flask], path: Path, instance: str, damage: Damage
) -> None:
    copy_of(path).unlink()
    # What was moved aside before says that there was a store, also where nothing of it is left.
    path.with_name(f"{path.name}.damaged-20250101T000000000000").write_bytes(b"older")
    damage(path)
    app = start()
    assert send(app.test_client()) in (200, 503)


def test_damage_elsewhere_loses_no_key_without_the_copy(
    start: Callable[[], Flask], path: Path, instance: str
) -> None:
    copy_of(path).unlink()
    with sqlite3.connect(path) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'envelopes'"
        ).fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek(8192 * (page - 1))
        file.write(b"\xde\xad" * 4096)
    assert_all_is_there(start(), instance)


def test_unknown_key_gets_503_until_a_person_accepts_the_loss(
    start: Callable[[], Flask], path: Path, instance: str
) -> None:
    copy_of(path).unlink()
    garbage(path)
    app = start()
    auth = {"X-Sentry-Auth": f"Sentry sentry_key={KEY}"}
    answer = app.test_client().post("/api/42/envelope/", data=envelope(), headers=auth)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    create_project(parts_of(app).store, "Books", 43, "c" * 32)
    assert send(app.test_client(), "c" * 32, 43) == 200
    assert app.test_cli_runner().invoke(args=["db", "accept-loss"]).exit_code == 0
    assert send(app.test_client()) == 403


def test_service_killed_while_it_takes_over_does_so_at_the_next_start(
    start: Callable[[], Flask], path: Path, instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    garbage(path)
    with monkeypatch.context() as broken:
        broken.setattr("app.store.database.take_over", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Store(f"sqlite:///{path}").open()
    assert_all_is_there(start(), instance)


def test_copy_is_for_its_owner_alone_and_follows_what_changes(
    start: Callable[[], Flask], path: Path, instance: str
) -> None:
    copy = copy_of(path)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    app = start()
    create_project(parts_of(app).store, "Books", 50)
    worker_of(app).run_once()
    names = [row["name"] for row in json.loads(copy.read_bytes())["projects"]]
    assert names == ["DevEnviro", "Shop", "Books"]
    written = copy.stat().st_mtime_ns
    worker_of(app).run_once()
    assert copy.stat().st_mtime_ns == written


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"projects": 5}'])
def test_damaged_copy_is_as_good_as_none(
    start: Callable[[], Flask], path: Path, instance: str, content: bytes
) -> None:
    copy_of(path).write_bytes(content)
    garbage(path)
    assert send(start().test_client()) == 503


def test_store_of_an_older_version_is_taken_over(
    start: Callable[[], Flask], path: Path, instance: str
) -> None:
    copy_of(path).unlink()
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE projects DROP COLUMN retention_days")
    connection.execute("DROP TABLE grouping_rules")
    connection.execute("PRAGMA writable_schema=ON")
    connection.commit()
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'envelopes'"
    ).fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek(8192 * (page - 1))
        file.write(b"\xde\xad" * 4096)
    assert_all_is_there(start(), instance)


def test_first_start_takes_nothing_over(start: Callable[[], Flask], path: Path) -> None:
    app = start()
    with parts_of(app).store.read() as conn:
        assert [project.id for project in list_projects(conn)] == [1]
    assert send(app.test_client()) == 403 and parts_of(app).store.damaged_files() == []
