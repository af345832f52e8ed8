"""The how-tos of alerts, followed as they stand: one new file, seen in the API, forms and pages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.receivers import Receiver

ROOT = Path(__file__).parents[2]
# Runs in a copy of the tree: asks an application, logged in, and prints what it answers.
SCRIPT = """
import json, re, sys
from app import create_app
from app.cli.worker import make_worker
from config import load_config
asked = json.load(sys.stdin)
app = create_app(load_config({}, **asked["settings"]))
client = app.test_client()
page = client.get("/admin/login").text
login = {"username": "admin", "password": asked["settings"]["ADMIN_PASSWORD"]}
login["csrf_token"] = re.search('name="csrf_token"[^>]*value="([^"]+)"', page)[1]
assert client.post("/admin/login", data=login).status_code == 303
answers = []
for method, path, body in asked["requests"]:
    if method == "EVALUATE":
        with app.app_context():
            make_worker()._tasks[0]._evaluator.work()
        continue
    answer = client.open(path, method=method, json=body)
    answers.append([answer.status_code, answer.text])
print(json.dumps(answers))
"""


class Answer(NamedTuple):
    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@pytest.fixture
def follow(tmp_path: Path) -> Callable[..., list[Answer]]:
    """Write the file of a how-to into a copy of the tree, and ask the application there."""

    def ask(how_to: str, *requests: tuple[str, str, Any]) -> list[Answer]:
        tree = tmp_path / "tree"
        shutil.copytree(ROOT / "app", tree / "app", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("config.py", "templates", "static", "migrations"):
            (tree / name).symlink_to(ROOT / name)
        path, code = new_file(ROOT / "docs" / "how-to" / how_to)
        assert not (tree / path).exists()
        (tree / path).write_text(code)
        settings = {
            "ENVIRONMENT": "testing",
            "DATA_DIR": str(tmp_path / "data"),
            "ADMIN_PASSWORD": "correct-horse-battery",
            "ALERTS_ALLOW_PRIVATE_TARGETS": True,
        }
        printed = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            input=json.dumps({"settings": settings, "requests": requests}),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert printed.returncode == 0, printed.stderr
        return [Answer(*answer) for answer in json.loads(printed.stdout.splitlines()[-1])]

    return ask


def new_file(how_to: Path) -> tuple[str, str]:
    """Return the path and the content of the one Python file that a how-to has you create."""
    [found] = re.findall(
        r"New file `([^`]+\.py)`:\n\n```python\n(.*?)```", how_to.read_text(), re.S
    )
    return found


def test_channel_of_the_how_to_is_offered_kept_and_sent(
    follow: Callable[..., list[Answer]], receiver: Receiver
) -> None:
    url = f"{receiver.url}/api/webhooks/very-secret-path"
    channel = {"kind": "googlechat", "name": "Ops", "url": url}
    document, form, made, wrong, tested, page, notification = follow(
        "add-a-channel.md",
        ("GET", "/openapi.json", None),
        ("GET", "/admin/alerts/channels", None),
        ("POST", "/api/alerts/channels", channel),
        ("POST", "/api/alerts/channels", {**channel, "url": "ftp://example.org/"}),
        ("POST", "/api/alerts/channels/1/test", {}),
        ("GET", "/admin/alerts/channels/1", None),
        ("GET", "/api/alerts/1", None),
    )
    kinds = document.json["components"]["schemas"]["ChannelBody"]["properties"]["kind"]["enum"]
    assert kinds[-1] == "googlechat"
    assert 'value="googlechat"' in form.text and "a message to a space, by its webhook" in form.text
    assert made.status == 201 and made.json["address"] == f"{receiver.url}/…"
    assert wrong.status == 422 and wrong.json["errors"][0]["field"] == "url"
    assert tested.json["state"] == "delivered"
    [got] = receiver.received
    assert got.path == "/api/webhooks/very-secret-path"
    assert got.json["text"].startswith("Test of Ops\n")
    assert "Google Chat to <code>" in page.text
    assert notification.json["sendings"][0]["channel_kind"] == "googlechat"
    assert all("very-secret" not in shown.text for shown in (form, made, wrong, page, notification))


def test_rule_of_the_how_to_is_offered_kept_and_evaluated(
    follow: Callable[..., list[Answer]],
) -> None:
    rule = {"kind": "backlog", "project_id": 1}
    document, form, made, wrong, listed, kept = follow(
        "add-an-alert-rule.md",
        ("GET", "/openapi.json", None),
        ("GET", "/admin/alerts/rules/new?kind=backlog", None),
        ("POST", "/api/alerts/rules", {**rule, "threshold": 0}),
        ("POST", "/api/alerts/rules", {**rule, "window_minutes": 5}),
        ("EVALUATE", "", None),
        ("GET", "/admin/alerts/rules", None),
        ("GET", "/api/alerts?project_id=1", None),
    )
    schema = document.json["components"]["schemas"]["WatchRuleBody"]["properties"]
    assert schema["kind"]["enum"][-1] == "backlog"
    assert "backlog issues" in json.dumps(schema["threshold"])
    assert "Threshold, issues" in form.text and "Window in minutes" not in form.text
    assert made.status == 201 and (made.json["unit"], made.json["cooldown_minutes"]) == (
        "issues",
        1440,
    )
    assert wrong.status == 422 and wrong.json["errors"][0]["field"] == "window_minutes"
    assert "0 unresolved issues or more" in listed.text and "0 unresolved issues." in listed.text
    assert kept.json["alerts"][0]["title"] == "0 unresolved issues"
