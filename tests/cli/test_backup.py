"""flask backup, flask restore, and what pages say about the last backup."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.accounts.tables import audit_log
from app.cli import backup as commands
from app.events.tables import events
from app.store import utc_now
from app.web.last_backup import note_backup
from tests.alert_steps import store_events
from tests.conftest import parts_of

pytestmark = pytest.mark.one_database

MakeApp = Callable[..., Flask]


def run(app: Flask, *arguments: object) -> Result:
    return app.test_cli_runner().invoke(args=[*map(str, arguments)])


def test_backup_is_made_verified_and_shown(
    app: Flask, admin_client: FlaskClient, tmp_path: Path
) -> None:
    store_events(app, {"message": "one"})
    file = tmp_path / "b.zip"
    assert "Last verified backup: never." in admin_client.get("/admin/").text
    before = run(app, "backup", "--check-age", "26h")
    assert (before.exit_code, before.output) == (1, "last verified backup: never\n")
    made = run(app, "backup", file)
    assert made.exit_code == 0 and "was verified" in made.output, made.output
    again = run(app, "backup", file)
    assert again.exit_code == 1 and f"{file} exists already" in again.output
    assert "is whole" in run(app, "backup", "verify", file).output
    start = re.sub(r"<[^>]+>", "", admin_client.get("/admin/").text)
    assert "Last verified backup: just now." in start
    at = admin_client.get("/system/status").get_json()["last_verified_backup_at"]
    assert utc_now().isoformat()[:10] in at
    assert "devenviro_last_backup_timestamp_seconds 1" in admin_client.get("/metrics").text
    assert "Last verified backup" in admin_client.get("/admin/status").text


@pytest.mark.parametrize(("age", "code"), [("26h", 0), ("2d", 0), ("25h", 1), ("90m", 1)])
def test_age_of_the_last_backup_has_an_exit_code(app: Flask, age: str, code: int) -> None:
    at = utc_now() - timedelta(hours=25, minutes=30)
    note_backup(parts_of(app).store, at, "backed_up", "b.zip")
    done = run(app, "backup", "--check-age", age)
    assert (done.exit_code, done.output) == (code, "last verified backup: 25.5 h ago\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("verify",),
        ("a", "b"),
        ("verify", "a", "b"),
        ("--check-age", "1h", "a"),
        ("--check-age", "soon"),
    ],
)
def test_wrong_usage_has_exit_code_2(app: Flask, arguments: tuple[str, ...]) -> None:
    assert run(app, "backup", *arguments).exit_code == 2


def test_restored_store_passes_an_event_and_a_second_restore_is_refused(
    app: Flask, make_app: MakeApp, tmp_path: Path
) -> None:
    store_events(app, {"message": "one"})
    run(app, "backup", tmp_path / "b.zip")
    new = {
        "DATA_DIR": tmp_path / "new",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'new' / 's.sqlite3'}",
    }
    other = make_app(opens_store=False, **new)
    done = run(other, "restore", tmp_path / "b.zip")
    assert done.exit_code == 0, done.output
    assert "the accounting adds up" in done.output and "✓" in done.output
    with parts_of(other).store.read() as conn:
        titles = set(conn.scalars(select(events.c.title)))
        assert titles == {"one", "TrialError: flask verify: a test error"}
        done_here = select(audit_log.c.action, audit_log.c.target, audit_log.c.actor)
        assert conn.execute(done_here).all() == [("restored", "b.zip", "command line")]
    assert run(other, "backup", "--check-age", "1h").exit_code == 0
    third = make_app(opens_store=False, **new)
    again = run(third, "restore", tmp_path / "b.zip")
    assert again.exit_code == 1 and "the place is not empty" in again.output
    with parts_of(other).store.read() as conn:
        assert conn.scalar(select(func.count()).select_from(events)) == 2


def test_test_event_that_does_not_pass_has_an_exit_code(
    app: Flask, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(app, "backup", tmp_path / "b.zip")
    monkeypatch.setattr(commands, "verify_projects", lambda wanted, as_json: 2)
    url = f"sqlite:///{tmp_path / 'new' / 's.sqlite3'}"
    other = make_app(opens_store=False, DATA_DIR=tmp_path / "new", DATABASE_URL=url)
    assert run(other, "restore", tmp_path / "b.zip").exit_code == 3


def test_commands_in_a_wrong_place_make_no_store(make_app: MakeApp, tmp_path: Path) -> None:
    """Cron without DATA_DIR would otherwise back up a new and empty store every night."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    url = f"sqlite:///{folder / 's.sqlite3'}"
    app = make_app(opens_store=False, DATA_DIR=folder, DATABASE_URL=url)
    for arguments in (["backup", tmp_path / "b.zip"], ["backup", "--check-age", "1d"]):
        done = run(app, *arguments)
        assert done.exit_code == 1 and "there is no store at" in done.output
    done = run(app, "restore", tmp_path / "none.zip")
    assert done.exit_code == 1 and "none.zip cannot be read" in done.output
    done = run(app, "backup", "verify", tmp_path / "none.zip")
    assert done.exit_code == 1 and "cannot be read" in done.output
    parts_of(app).intake.flush()
    assert list(folder.iterdir()) == [] and not (tmp_path / "b.zip").exists()
