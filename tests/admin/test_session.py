"""Logging in and out: who gets in, where they go, and what a wrong password costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.admin.session import safe_path
from tests.conftest import ADMIN_PASSWORD, csrf_token

Login = Callable[[FlaskClient], FlaskClient]


def try_login(client: FlaskClient, **fields: str) -> TestResponse:
    data = {"username": "admin", "password": ADMIN_PASSWORD, **fields}
    data["csrf_token"] = csrf_token(client, "/admin/login")
    return client.post("/admin/login", data=data)


def test_page_without_a_session_leads_to_the_login_and_back(client: FlaskClient) -> None:
    answer = client.get("/admin/events?level=error")
    assert answer.status_code == 302
    assert answer.location == "/admin/login?next=/admin/events?level%3Derror"
    page = client.get(answer.location).text
    assert 'value="/admin/events?level=error"' in page
    assert (
        try_login(client, next="/admin/events?level=error").location == "/admin/events?level=error"
    )


def test_fragment_without_a_session_is_401_and_no_redirect(client: FlaskClient) -> None:
    answer = client.get("/admin/live/events", headers={"X-Fragment": "1"})
    assert (answer.status_code, answer.text) == (401, "")


def test_wrong_name_and_wrong_password_answer_the_same_401(client: FlaskClient) -> None:
    name = try_login(client, username="nobody")
    password = try_login(client, password="wrong-horse")
    assert name.status_code == password.status_code == 401
    message = "The user name or the password is wrong."
    assert message in name.text and message in password.text
    assert client.get("/admin/").status_code == 302


def test_name_with_a_nul_is_a_wrong_name(client: FlaskClient) -> None:
    assert try_login(client, username="ad\x00min").status_code == 401


def test_sixth_try_waits_and_says_how_long(client: FlaskClient) -> None:
    for _ in range(5):
        assert try_login(client, password="wrong-horse").status_code == 401
    answer = try_login(client)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Too many tries" in answer.text


def test_login_without_a_csrf_token_is_refused_with_a_page(client: FlaskClient) -> None:
    answer = client.post("/admin/login", data={"username": "admin", "password": ADMIN_PASSWORD})
    assert answer.status_code == 400
    assert "open for too long" in answer.text


def test_login_keeps_nothing_of_the_session_before_it(client: FlaskClient) -> None:
    client.get("/admin/login")
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
    try_login(client)
    with client.session_transaction() as session:
        assert "planted" not in session
        assert session.permanent


def test_logout_ends_the_sessions_of_every_browser(app: Flask, login: Login) -> None:
    here, there = login(app.test_client()), login(app.test_client())
    token = csrf_token(here, "/admin/")
    assert here.post("/admin/logout", data={"csrf_token": token}).status_code == 303
    assert here.get("/admin/").status_code == there.get("/admin/").status_code == 302


def test_logout_by_a_link_is_refused(admin_client: FlaskClient) -> None:
    assert admin_client.get("/admin/logout").status_code == 405
    assert admin_client.post("/admin/logout").status_code == 400
    assert admin_client.get("/admin/").status_code == 200


@pytest.mark.parametrize("target", ["/admin/", "/admin/events?q=%5C&level=error", "/docs#schemas"])
def test_path_of_this_site_is_kept(target: str) -> None:
    assert safe_path(target) == target


@pytest.mark.parametrize(
    "target",
    [
        None, "", "admin", "https://evil.example", "//evil.example", "///evil.example",
        "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/%2Fevil.example",
        "/%5Cevil.example", "/%252Fevil.example", "%2F%2Fevil.example", "/\t/evil.example",
        "/\n/evil.example", " //evil.example", "/%09/evil.example", "http:/admin/", "/a\x00b",
        "\u2028//evil.example", "/" + "a" * 3000, "//[",
    ],
)  # fmt: skip
def test_target_that_may_lead_elsewhere_is_refused(target: str | None) -> None:
    assert safe_path(target) is None


def test_login_with_a_foreign_target_goes_to_the_start_page(client: FlaskClient) -> None:
    assert try_login(client, next="//evil.example").location == "/admin/"


@pytest.mark.parametrize(
    ("theme", "attribute"), [("dark", "dark"), ("light", "light"), ("auto", "light")]
)
def test_chosen_theme_is_on_the_next_page(
    admin_client: FlaskClient, theme: str, attribute: str
) -> None:
    token = csrf_token(admin_client, "/admin/")
    data = {"csrf_token": token, "theme": theme, "next": "/admin/status"}
    answer = admin_client.post("/admin/theme", data=data)
    assert (answer.status_code, answer.location) == (303, "/admin/status")
    assert f'data-bs-theme="{attribute}" data-theme="{theme}"' in admin_client.get("/admin/").text


def test_unknown_theme_changes_nothing(admin_client: FlaskClient) -> None:
    token = csrf_token(admin_client, "/admin/")
    admin_client.post("/admin/theme", data={"csrf_token": token, "theme": '"><script>'})
    assert admin_client.get_cookie("theme") is None


def test_highlighting_is_there_for_both_themes_and_may_be_kept(client: FlaskClient) -> None:
    answer = client.get("/admin/highlight.css")
    assert answer.mimetype == "text/css"
    assert "max-age" in answer.headers["Cache-Control"]
    assert "[data-bs-theme=light] .code .k " in answer.text
    assert "[data-bs-theme=dark] .code .k " in answer.text
