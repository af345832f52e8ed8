"""A text in an address or a form that no database takes is answered, whatever route it is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import API_TOKEN, csrf_token
from tests.monitors.steps import check_in, key_of, send

# NUL, and half of a surrogate pair in the bytes that UTF-8 would have for it.
TEXT = "a%00b%ED%A0%80"
# The fields of forms that are compared with rows, or stored.
FIELDS = ("environment", "name", "text", "do", "username", "password", "query", "assigned_to")


def addresses(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield method and path of each route with a part that is a text."""
    for rule in app.url_map.iter_rules():
        if re.search(r"<(?!int:)", rule.rule):
            path = re.sub(r"<int:\w+>", "1", rule.rule).replace("<key>", key_of(app))
            if re.search(r"<(?!slug)", path):
                path = path.replace("<slug>", "wr")  # The other text is looked for only then.
            path = re.sub(r"<[^>]+>", TEXT, path)
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, path


def test_no_route_fails_on_a_text_that_no_database_takes(
    app: Flask, admin_client: FlaskClient
) -> None:
    send(app, check_in("wr"))
    api = {"Authorization": f"Bearer {API_TOKEN}"}
    body: dict[str, Any] = {"status": "ok", "text": "seen", "name": "Shop", "ids": [1]}
    token = csrf_token(admin_client, "/admin/account")
    wrong, seen = [], 0
    for method, path in addresses(app):
        query = {"user_id": "ada"} if path.startswith("/memories") else {"project_id": 1}
        if path.startswith("/admin"):
            form = body | {"csrf_token": token}
            answer = admin_client.open(path, method=method, data=form)
        else:
            answer = app.test_client().open(
                path, method=method, json=body, headers=api, query_string=query
            )
        seen += 1
        if answer.status_code >= 500:
            wrong.append((method, path, answer.status_code))
    assert wrong == []
    assert seen > 30


def test_no_form_fails_on_a_text_that_no_database_takes(
    app: Flask, admin_client: FlaskClient
) -> None:
    send(app, check_in("wr"))
    token = csrf_token(admin_client, "/admin/account")
    form = dict.fromkeys(FIELDS, "a\0b") | {"csrf_token": token}
    rules = [rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    named = [rule.rule.replace("<slug>", "wr") for rule in rules if "/admin" in rule.rule]
    paths = sorted((re.sub(r"<[^>]+>", "1", rule) for rule in named), key=len, reverse=True)
    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        answers = {
            path: admin_client.post(path, data=form, content_type=content_type).status_code
            for path in paths
            if path != "/admin/logout"
        }
        assert [path for path, status in answers.items() if status >= 500] == []
    assert len(paths) > 20


def test_environment_of_a_monitor_with_nul_is_unknown(
    app: Flask, client: FlaskClient, admin_client: FlaskClient
) -> None:
    send(app, check_in("wr"))
    path = "/api/monitors/wr/environments/%00?project_id=1"
    assert client.delete(path).status_code == 404
    form = {"csrf_token": csrf_token(admin_client, "/admin/account"), "environment": "\0"}
    answer = admin_client.post("/admin/monitors/1/wr/environments/delete", data=form)
    assert answer.status_code == 404
