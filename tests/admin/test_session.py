"""Logging in and out: who gets in, where they go, and what a wrong password costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from werkzeug.test import TestResponse

from app.accounts.login import CHECKS_AT_ONCE, WAITING_CHECKS
from app.accounts.throttle import FREE_FAILURES
from app.admin.session import BROWSER_COOKIE, safe_path
from tests.conftest import ADMIN_PASSWORD, csrf_token, parts_of

pytestmark = pytest.mark.one_database

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


def test_busy_login_is_429_and_counts_nobody(app: Flask, client: FlaskClient) -> None:
    with ExitStack() as stack:
        for _ in range(CHECKS_AT_ONCE + WAITING_CHECKS):
            stack.enter_context(taken_slot(app))
        for _ in range(10):
            answer = try_login(client)
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
            assert "Too many people log in" in answer.text
    assert try_login(client).status_code == 303


@contextmanager
def taken_slot(app: Flask) -> Iterator[None]:
    """Hold a place of the checks, as a thread does that has one or waits for it."""
    entered = parts_of(app).logins._strangers._entered
    assert entered.acquire(blocking=False)
    yield
    entered.release()


def guess(app: Flask, address: str, times: int = FREE_FAILURES + 1, name: str = "admin") -> int:
    """Guess passwords from a browser that nobody knows; return the last status."""
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = address
    return [
        try_login(client, username=name, password="wrong-horse").status_code for _ in range(times)
    ][-1]


def test_guesses_from_elsewhere_do_not_lock_the_owner_out(app: Flask, client: FlaskClient) -> None:
    assert [guess(app, f"192.0.2.{last}") for last in (1, 2)] == [429, 429]
    assert try_login(client).status_code == 303


@pytest.fixture
def known(app: Flask) -> FlaskClient:
    """A browser that has logged in before, and whose session has ended."""
    client = app.test_client()
    assert try_login(client).status_code == 303
    client.delete_cookie("devenviro_session")
    return client


def test_browser_that_logged_in_before_is_let_through_from_a_locked_address(
    app: Flask, known: FlaskClient
) -> None:
    assert guess(app, "127.0.0.1") == 429
    assert try_login(app.test_client()).status_code == 429
    assert try_login(known).status_code == 303
    assert try_login(app.test_client()).status_code == 429  # it took no stranger's lock away


def test_known_browser_is_known_as_its_own_user_only(app: Flask, known: FlaskClient) -> None:
    accounts = parts_of(app).accounts
    accounts.set_password("ada", "her own password")
    assert guess(app, "127.0.0.1", name="ada") == 429
    assert try_login(known, username="ada", password="her own password").status_code == 429


def test_new_password_makes_known_browsers_unknown(make_app: Callable[..., Flask]) -> None:
    app = make_app(ADMIN_PASSWORD=None)
    accounts, client = parts_of(app).accounts, app.test_client()
    accounts.set_password("admin", "the first one")
    assert try_login(client, password="the first one").status_code == 303
    client.delete_cookie("devenviro_session")
    assert guess(app, "127.0.0.1") == 429
    accounts.set_password("admin", "the second one")
    assert try_login(client, password="the second one").status_code == 429


def test_logging_out_everywhere_leaves_the_browser_known(app: Flask, known: FlaskClient) -> None:
    parts_of(app).accounts.set_session_key("admin")
    assert guess(app, "127.0.0.1") == 429
    assert try_login(known).status_code == 303


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "W10.aaaa.bbbb", "é" * 10, "a" * 3000])
def test_forged_cookie_makes_no_known_browser(app: Flask, value: str) -> None:
    client = app.test_client()
    client.set_cookie(BROWSER_COOKIE, value, path="/admin/login")
    assert guess(app, "127.0.0.1") == 429
    assert try_login(client).status_code == 429


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cookie_of_a_known_browser_is_kept_from_scripts_and_other_sites(
    make_app: Callable[..., Flask], scheme: str
) -> None:
    client = make_app(PUBLIC_URL=f"{scheme}://localhost").test_client()
    data = {"username": "admin", "password": ADMIN_PASSWORD}
    page = client.get("/admin/login", base_url=f"{scheme}://localhost").text
    data["csrf_token"] = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]  # type: ignore[index]
    headers = {"Referer": f"{scheme}://localhost/admin/login"}
    answer = client.post(
        "/admin/login", data=data, base_url=f"{scheme}://localhost", headers=headers
    )
    cookies = [line for line in answer.headers.getlist("Set-Cookie") if BROWSER_COOKIE in line]
    assert len(cookies) == 1
    pairs = [part.strip().partition("=") for part in cookies[0].split(";")]
    parts = {name: value for name, _, value in pairs}
    assert {"HttpOnly", "SameSite", "Path", "Max-Age"} <= set(parts)
    assert (parts["SameSite"], parts["Path"]) == ("Lax", "/admin/login")
    assert int(parts["Max-Age"]) >= 180 * 86400
    assert ("Secure" in parts) == (scheme == "https")


def test_unlock_lets_a_name_in_at_once(
    app: Flask, client: FlaskClient, runner: FlaskCliRunner
) -> None:
    assert guess(app, "127.0.0.1") == 429
    unlocked = runner.invoke(args=["user", "unlock", "admin"])
    assert (unlocked.exit_code, "admin may log in" in unlocked.output) == (0, True)
    assert try_login(client).status_code == 303


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
