"""A process loads what it needs: neither a start nor an event pays for anything else."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT

pytestmark = pytest.mark.one_database

ENVIRON = {
    "PATH": os.environ["PATH"],
    "ENVIRONMENT": "testing",
    "SENTRY_DEBUG": "false",
    "SENTRY_TRACES_SAMPLE_RATE": "0",
}
# Migrations, colours of source code, memories, PostgreSQL on SQLite, the SDK's own way to Sentry.
NOT_LOADED = [
    "alembic",
    "mako",
    "pygments",
    "numpy",
    "wordllama",
    "qdrant_client",
    "sqlalchemy.dialects.postgresql",
    "psycopg",
    "httpcore",
]
PAGES = ["app.admin", "app.api", "app.ingest", "app.cli.verify", "app.cli.worker", "app.worker"]

WEB = f"""
import gc, json, sys
import wsgi

def loaded():
    return [name for name in {NOT_LOADED} if name in sys.modules]

started, frozen = loaded(), gc.get_freeze_count()
client, store = wsgi.app.test_client(), wsgi.app.extensions["devenviro.store"]
from app.projects.records import find_project
with store.read() as conn:
    key = find_project(conn, 1).keys[0]
lines = [{{"event_id": "1" * 32}}, {{"type": "event"}}, {{"message": "an event"}}]
body = "\\n".join(json.dumps(line) for line in lines)
status = client.post(f"/api/1/envelope/?sentry_key={{key}}", data=body).status_code
print(json.dumps([started, status, loaded(), frozen, gc.isenabled()]))
wsgi.app.extensions["devenviro.intake"].close()
"""
COMMAND = f"""
import os, sys
os.environ["FLASK_RUN_FROM_CLI"] = "true"
sys.argv = ["flask", "project", "list"]
import wsgi
from flask.cli import FlaskGroup, ScriptInfo
info = ScriptInfo(create_app=lambda: wsgi.app)
FlaskGroup(create_app=lambda: wsgi.app).main(sys.argv[1:], "flask", obj=info, standalone_mode=False)
print([name for name in {NOT_LOADED + PAGES} if name in sys.modules])
"""


def run(data_dir: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=ENVIRON | {"DATA_DIR": str(data_dir)} | environ,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a store whose schema is the newest."""
    folder = tmp_path_factory.mktemp("start") / "data"
    run(folder, "-m", "flask", "--app", "wsgi", "db", "upgrade").check_returncode()
    return folder


def test_web_process_loads_only_what_a_start_and_an_event_need(data_dir: Path) -> None:
    done = run(data_dir, "-c", WEB)
    assert done.returncode == 0, done.stderr
    started, status, after, frozen, searches = json.loads(done.stdout.splitlines()[-1])
    assert (started, status, after) == ([], 200, [])
    # What a start leaves behind is not searched for garbage again; what comes later is.
    assert frozen > 10_000 and searches
    assert gc.isenabled()


def test_command_loads_neither_pages_nor_tasks(data_dir: Path) -> None:
    done = run(data_dir, "-c", COMMAND)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", [["routes"], ["--debug", "routes"]])
def test_command_that_lists_routes_has_all_of_them(data_dir: Path, command: list[str]) -> None:
    done = run(data_dir, "-m", "flask", "--app", "wsgi", *command)
    assert done.returncode == 0, done.stderr
    assert "/api/issues" in done.stdout and "/admin/issues" in done.stdout


@pytest.mark.parametrize("command", ["project list", "worker", "routes", "--help"])
def test_wrong_setting_stops_every_command(tmp_path: Path, command: str) -> None:
    wrong = {"SCRUB_PATTERNS": "(a+)+$(", "DATABASE_URL": "mysql://shop"}
    done = run(tmp_path / "none", "-m", "flask", "--app", "wsgi", *command.split(), **wrong)
    assert done.returncode == 2
    assert "SCRUB_PATTERNS" in done.stderr and "DATABASE_URL" in done.stderr
    assert not (tmp_path / "none").exists()
