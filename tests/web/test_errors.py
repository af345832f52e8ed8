"""Answers to failing requests: a page for people, with the navigation where there is one."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.store import StoreUnavailable
from tests.conftest import parts_of

pytestmark = pytest.mark.one_database
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
NAVIGATION = '<nav class="side"'


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/admin/nowhere", 404),
        ("GET", "/admin/issues/7", 404),
        ("GET", "/docs/nowhere", 404),
        ("GET", "/admin/theme", 405),
        ("POST", "/admin/theme", 400),
    ],
)
def test_error_among_the_pages_keeps_the_navigation(
    admin_client: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = admin_client.open(path, method=method)
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert NAVIGATION in answer.text and answer.text.count("<h1") == 1


def test_stranger_meets_no_navigation(client: FlaskClient) -> None:
    answer = client.get("/admin/nowhere", headers={"Accept": BROWSER})
    assert answer.status_code == 404 and NAVIGATION not in answer.text


def test_view_that_fails_keeps_the_navigation(
    app: Flask, admin_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    fail.access_rule = app.view_functions["admin.status"].access_rule  # type: ignore[attr-defined]
    monkeypatch.setitem(app.view_functions, "admin.status", fail)
    answer = admin_client.get("/admin/status")
    assert answer.status_code == 500 and NAVIGATION in answer.text
    assert "Recorded as event" in answer.text


def test_navigation_that_fails_is_left_out_of_the_page_that_says_so(
    app: Flask, admin_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("a bug of every page")

    monkeypatch.setitem(app.jinja_env.globals, "navigation", fail)
    answer = admin_client.get("/admin/status")
    assert answer.status_code == 500 and NAVIGATION not in answer.text
    assert "Recorded as event" in answer.text


def test_unknown_page_is_answered_without_the_store(
    app: Flask, admin_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(parts_of(app).store, "read", refuse)
    answer = admin_client.get("/admin/nowhere")
    assert answer.status_code == 404 and "Not Found" in answer.text


@pytest.mark.parametrize("path", ["/nowhere", "/api/events/nonsense", "/api/issues?limit=x"])
def test_browser_that_meets_an_error_outside_gets_a_page(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Accept": BROWSER})
    assert answer.status_code in (404, 422) and answer.mimetype == "text/html"
    assert NAVIGATION not in answer.text and answer.text.count("<h1") == 1
    assert "limit" in answer.text or answer.status_code == 404


@pytest.mark.parametrize(
    "accept", [None, "", "*/*", "application/json", "application/json, text/html;q=0.5", "nonsense"]
)
@pytest.mark.parametrize("path", ["/nowhere", "/api/issues?limit=x"])
def test_program_gets_problem_details(client: FlaskClient, path: str, accept: str | None) -> None:
    answer = client.get(path, headers={} if accept is None else {"Accept": accept})
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == answer.status_code
