"""What commands print: one function, which no text of a client gets past."""

from __future__ import annotations

import ast
import json
from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.alerts.channels.email import Email
from app.alerts.channels.slack import Slack
from app.alerts.messages import Notification
from app.output import one_line
from app.projects import projects
from app.stats.tables import releases
from app.store import utc_now
from config import ROOT
from tests.conftest import parts_of

pytestmark = pytest.mark.one_database

HOSTILE = {
    "escape": "\x1b[31mred\x1b]0;title\x07",
    "C1 escape": "\x9b31mred",
    "bell and backspace": "\x07safe\x08\x08\x08\x08evil",
    "carriage return": "fine\rGONE",
    "line feed": "fine\nforged line",
    "line separator": "fine\u2028forged\u2029x",
    "next line": "fine\x85forged",
    "bidi override": "\u202egnp.exe",
    "bidi isolate": "\u2066x\u2069",
    "zero width": "a\u200bb\ufeff",
    "delete": "a\x7fb",
}
COMMANDS = [ROOT / "wsgi.py", *sorted((ROOT / "app").rglob("*.py"))]


def bare_prints(source: str) -> list[int]:
    """Return the lines that print without :func:`app.output.say`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        to_click = {"click.echo", "click.secho", "click.UsageError", "click.ClickException"}
        if name in to_click or name in {"print", "sys.stdout.write", "sys.stderr.write"}:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_printed_past_the_function_that_strips(path: object) -> None:
    # The intake prints what no disk takes, as JSON, which escapes.
    if path in (ROOT / "app" / "output.py", ROOT / "app" / "intake" / "service.py"):
        return
    assert bare_prints(path.read_text()) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_commands_print_hostile_names_as_one_harmless_line(
    app: Flask, runner: FlaskCliRunner, text: str
) -> None:
    with parts_of(app).store.write() as conn:
        row = {"id": 7, "name": text, "created_at": utc_now()}
        conn.execute(projects.insert().values(row))
        conn.execute(releases.insert().values(project_id=7, version=text, announced_at=utc_now()))
    for command in (["project", "list"], ["release", "list", "--project", "7"]):
        printed = runner.invoke(args=command).output
        assert one_line(text) in printed
        assert all(one_line(line) == line for line in printed.split("\n"))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_line_breaks_of_clients_are_spaces_in_mail_and_slack(text: str) -> None:
    row = SimpleNamespace(title=text, text=text, total=0)
    about = {"rule": None, "project": {"id": 1, "name": text}, "issue": None, "event": None}
    notification = Notification(row, about, {})  # type: ignore[arg-type]
    subject, body = Email().message(notification)
    assert one_line(subject) == subject
    assert body.startswith(f"{one_line(text)}\n\n") and f"Project: {one_line(text)}\n" in body
    assert all(one_line(line) == line for line in body.split("\n"))
    content = json.dumps(Slack().content(notification))
    assert "\\u001b" not in content and "\\r" not in content
