"""When the cookie of a session is written."""

from __future__ import annotations

import time

import pytest
from flask.testing import FlaskClient

from app.web.sessions import RENEW_AFTER_S
from tests.conftest import csrf_token

pytestmark = pytest.mark.one_database

NAME = "devenviro_session="


def cookies(client: FlaskClient, path: str = "/admin/") -> list[str]:
    answer = client.get(path)
    assert answer.status_code == 200 and "Cookie" in answer.vary
    return [line for line in answer.headers.getlist("Set-Cookie") if line.startswith(NAME)]


def test_cookie_is_written_again_when_it_is_a_minute_old(
    admin_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookies(admin_client)  # The first page adds the token of its forms.
    assert cookies(admin_client) == []
    later = time.time() + RENEW_AFTER_S + 1
    monkeypatch.setattr("time.time", lambda: later)
    (renewed,) = cookies(admin_client)
    assert "Expires=" in renewed and "HttpOnly" in renewed


def test_session_that_changed_is_written_at_once(admin_client: FlaskClient) -> None:
    cookies(admin_client)
    form = {"csrf_token": csrf_token(admin_client, "/admin/")}
    answer = admin_client.post("/admin/logout", data=form)
    assert any(line.startswith(NAME) for line in answer.headers.getlist("Set-Cookie"))
    assert "You are logged out" in admin_client.get("/admin/login").text


def test_cookie_of_another_secret_opens_no_session(admin_client: FlaskClient) -> None:
    app = admin_client.application
    app.secret_key = "another secret, which nobody knows"
    answer = admin_client.get("/admin/")
    assert answer.status_code == 302 and "/admin/login" in answer.location
