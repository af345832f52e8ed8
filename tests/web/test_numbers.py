"""A number in an address that no row can have is answered, whatever route it is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import API_TOKEN, csrf_token
from tests.monitors.steps import key_of

pytestmark = pytest.mark.one_database

# Beyond the numbers that databases and their drivers take.
TOO_LARGE = 2**63


def addresses(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield method and path of each route with a number, with one that is too large."""
    event_id = "0" * 31 + "1"
    for rule in app.url_map.iter_rules():
        if "<int:" in rule.rule:
            path = re.sub(r"<int:\w+>", str(TOO_LARGE), rule.rule)
            path = path.replace("<event_id>", event_id).replace("<key>", key_of(app))
            path = re.sub(r"<[^>]+>", "nightly", path)
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, path


def test_no_route_fails_on_a_number_beyond_all_rows(app: Flask, admin_client: FlaskClient) -> None:
    api = {"Authorization": f"Bearer {API_TOKEN}"}
    body: dict[str, Any] = {"status": "resolved", "text": "seen", "name": "Shop", "ids": [1]}
    form = body | {"csrf_token": csrf_token(admin_client, "/admin/account")}
    wrong, seen = [], 0
    for method, path in addresses(app):
        if path.startswith("/admin"):
            answer = admin_client.open(path, method=method, data=form)
        else:
            answer = app.test_client().open(path, method=method, json=body, headers=api)
        seen += 1
        if answer.status_code >= 500:
            wrong.append((method, path, answer.status_code))
    assert wrong == []
    assert seen > 80
