"""Accounts and tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from werkzeug.security import check_password_hash

from app.accounts import users
from app.accounts.tokens import USUAL_SCOPES, Access, TokenError
from app.accounts.users import UserError
from tests.conftest import ADMIN_PASSWORD, parts_of


def test_configured_password_is_right_and_others_are_wrong(app: Flask) -> None:
    accounts = parts_of(app).accounts
    assert accounts.authenticate("admin", ADMIN_PASSWORD)
    user = accounts.open_session("admin", "192.0.2.7", "Firefox/140.0")
    assert (user.username, user.role) == ("admin", "admin")
    assert accounts.user_of_session(user.id) == user
    assert accounts.authenticate("admin", "wrong") is None
    assert accounts.authenticate("nobody", ADMIN_PASSWORD) is None
    assert accounts.user_of_session("admin:forged") is None
    assert accounts.user_of_session("") is None


def test_new_password_ends_the_sessions_of_the_old_one(make_app: Callable[..., Flask]) -> None:
    accounts = parts_of(make_app()).accounts
    accounts.set_password("ada", "first password")
    assert accounts.authenticate("ada", "first password")
    user = accounts.open_session("ada", None, None)
    assert accounts.user_of_session(user.id)
    accounts.set_password("ada", "second password")
    assert accounts.user_of_session(user.id) is None
    assert accounts.authenticate("ada", "first password") is None
    assert accounts.authenticate("ada", "second password")


def test_changed_admin_password_ends_sessions(make_app: Callable[..., Flask]) -> None:
    accounts = parts_of(make_app()).accounts
    assert accounts.authenticate("admin", ADMIN_PASSWORD)
    user = accounts.open_session("admin", None, None)
    other = parts_of(make_app(ADMIN_PASSWORD="another password")).accounts
    assert other.user_of_session(user.id) is None


def test_first_start_makes_credentials_once_and_keeps_only_hashes(
    make_app: Callable[..., Flask],
) -> None:
    parts = parts_of(make_app(ADMIN_PASSWORD=None))
    made = parts.accounts.first_credentials()
    assert set(made) == {"password", "token"}
    assert parts.accounts.first_credentials() == {}
    assert parts.accounts.authenticate("admin", made["password"])
    assert parts.accounts.token_scopes(made["token"])
    with parts.store.read() as conn:
        for table in ("users", "api_tokens"):
            rows = str(conn.exec_driver_sql(f"SELECT * FROM {table}").all())
            assert made["password"] not in rows and made["token"] not in rows


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("configured", [None, ADMIN_PASSWORD])
@pytest.mark.parametrize("name", ["admin", "ada", "nobody"])
def test_every_try_costs_one_hash_check_whatever_the_name(
    make_app: Callable[..., Flask],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    configured: str | None,
    stored: bool,
) -> None:
    accounts = parts_of(make_app(ADMIN_PASSWORD=configured)).accounts
    if stored:
        accounts.set_password("admin", "a password in the store")
        accounts.set_password("ada", "her own password")
    checked: list[str] = []

    def check(hashed: str, password: str) -> bool:
        checked.append(hashed)
        return check_password_hash(hashed, password)

    def make(*_: str, **__: str) -> str:
        raise AssertionError("a hash was made while a password was tried")

    monkeypatch.setattr("app.accounts.users.check_password_hash", check)
    monkeypatch.setattr("app.accounts.users.generate_password_hash", make)
    assert accounts.authenticate(name, "wrong-horse") is None
    assert [hashed.split("$")[0] for hashed in checked] == [users.PASSWORD_METHOD]
    assert len(checked[0]) == len(users.UNMATCHED_HASH)


def test_commands_set_passwords_and_say_what_is_wrong(app: Flask, runner: FlaskCliRunner) -> None:
    def run(*args: str):
        return runner.invoke(args=list(args))

    assert run("user", "add", "ada", "--password", "long enough").exit_code == 0
    assert parts_of(app).accounts.authenticate("ada", "long enough")
    short = run("user", "passwd", "ada", "--password", "short")
    assert (short.exit_code, "at least 8" in short.output) == (2, True)
    configured = run("user", "passwd", "admin", "--password", "long enough")
    assert (configured.exit_code, "ADMIN_PASSWORD" in configured.output) == (2, True)


def test_commands_make_and_revoke_tokens(app: Flask, runner: FlaskCliRunner) -> None:
    def run(*args: str):
        return runner.invoke(args=["token", *args])

    made = run("create", "ci", "--scope", "read")
    token = made.output.strip()
    assert parts_of(app).accounts.token_scopes(token) == {"read"}
    assert run("create", "ci").exit_code == 2
    assert run("create", "x", "--scope", "everything").exit_code == 2
    assert run("revoke", "ci").exit_code == 0
    assert parts_of(app).accounts.token_scopes(token) is None
    assert run("revoke", "ci").exit_code == 2


def test_scopes_of_mcp_and_users_of_memories_are_only_given_by_name(
    app: Flask, runner: FlaskCliRunner
) -> None:
    def made(*args: str) -> Access:
        token = runner.invoke(args=["token", "create", *args]).output.strip()
        found = parts_of(app).accounts.access_of(token)
        assert found is not None, token
        return found

    accounts = parts_of(app).accounts
    assert made("usual").scopes == frozenset(USUAL_SCOPES) and not accounts.has_mcp_token()
    assert made("own", "--project", "1").scopes == {"read", "write"}
    users = ("--memory-user", "ada", "--memory-user", "jürgen, junior", "--memory-user", "ada")
    agent = made("agent", "--scope", "mcp", "--project", "1", *users)
    assert (agent.memory_users, agent.projects) == (("ada", "jürgen, junior"), {1})
    assert accounts.has_mcp_token()
    listed = runner.invoke(args=["token", "list"]).output
    assert "scopes mcp; projects 1; memories of ada, jürgen, junior" in listed
    assert accounts.revoke_token("agent") and not accounts.has_mcp_token()
    for scopes, names, wrong in (
        (["mcp:write"], [], "needs the scope mcp"),
        (["read"], ["ada"], "those of the scope mcp"),
        (["mcp"], [" "], "1 to 200 characters"),
        (["mcp"], ["x" * 201], "1 to 200 characters"),
        (["mcp"], ["a\0b"], "control characters"),
        (["mcp"], [str(number) for number in range(21)], "at most 20 users"),
    ):
        with pytest.raises(TokenError, match=wrong):
            accounts.create_token("wrong", scopes, memory_users=names)


@pytest.mark.parametrize("command", [["db", "upgrade"]])
def test_upgrade_says_where_the_store_is(runner: FlaskCliRunner, command: list[str]) -> None:
    result = runner.invoke(args=command)
    assert result.exit_code == 0 and "revision" in result.output


def test_name_with_nul_is_nobodys(app: Flask) -> None:
    accounts = parts_of(app).accounts
    assert accounts.user("a\0b") is None and not accounts.is_user("a\0b")
    for change in (accounts.remove_user, lambda name: accounts.change_role(name, "admin")):
        with pytest.raises(UserError, match="no such user"):
            change("a\0b")
    assert not accounts.revoke_token("a\0b")
