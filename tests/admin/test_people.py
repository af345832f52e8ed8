"""Users, tokens, the own page and the audit log, as their pages show them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import insert

from app import sentry
from app.accounts import audit
from app.accounts.tables import audit_log
from app.accounts.tokens import TokenError
from app.accounts.users import UserError
from app.projects import create_project, rotate_key
from app.store import utc_now
from tests.conftest import csrf_token, parts_of
from tests.questions import questions

pytestmark = pytest.mark.one_database

PASSWORD = "her own password"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def post(client: FlaskClient, path: str, **data: object) -> tuple[int, str]:
    """Send a form; return the status and the page that it leads to."""
    token = csrf_token(client, "/admin/account")
    answer = client.post(path, data={"csrf_token": token, **data})
    page = client.get(answer.location) if answer.status_code == 303 else answer
    return answer.status_code, page.text


def logged_in(app: Flask, username: str, password: str = PASSWORD) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    data = {"username": username, "password": password}
    data["csrf_token"] = csrf_token(client, "/admin/login")
    assert client.post("/admin/login", data=data).status_code == 303
    return client


def entries(app: Flask, action: str = "") -> list[audit.Entry]:
    with parts_of(app).store.read() as conn:
        return audit.entries_of(audit.page_of_entries(conn, action=action))


def test_user_that_was_added_logs_in_with_the_role(app: Flask, admin_client: FlaskClient) -> None:
    ada = {"username": "ada", "password": PASSWORD, "role": "viewer"}
    status, page = post(admin_client, "/admin/users", **ada)
    assert (status, "ada may log in now, as viewer." in page) == (303, True)
    client = logged_in(app, "ada")
    assert client.get("/admin/users").status_code == 403
    assert "Users" not in client.get("/admin/").text
    assert post(admin_client, "/admin/users", **ada)[0] == 422
    short = {**ada, "username": "bob", "password": "short"}
    status, page = post(admin_client, "/admin/users", **short)
    assert (status, "at least 8 characters" in page) == (422, True)
    assert post(admin_client, "/admin/users/role", name="ada", role="member")[0] == 303
    assert client.get("/admin/test-error").status_code == 200
    assert post(admin_client, "/admin/users/role", name="ada", role="king")[0] == 422
    assert post(admin_client, "/admin/users/remove", name="ada")[0] == 303
    assert client.get("/admin/").status_code == 302


def test_last_admin_stays(make_app: Callable[..., Flask], runner: FlaskCliRunner) -> None:
    app = make_app(ADMIN_PASSWORD=None)
    accounts = parts_of(app).accounts
    for name, role in ("ada", "admin"), ("bob", "member"):
        accounts.add_user(name, PASSWORD, role)
    client = logged_in(app, "ada")
    status, page = post(client, "/admin/users/role", name="ada", role="viewer")
    assert (status, "last admin stays one" in page) == (409, True)
    status, page = post(client, "/admin/users/remove", name="ada")
    assert (status, "last admin stays one" in page) == (409, True)
    refused = app.test_cli_runner().invoke(args=["user", "remove", "ada"])
    assert (refused.exit_code, "last admin" in refused.output) == (2, True)
    accounts.change_role("bob", "admin")
    assert post(client, "/admin/users/role", name="ada", role="viewer")[0] == 303
    assert client.get("/admin/users").status_code == 403


@pytest.mark.parametrize("name", ["token:ci", "command line", "service", "", "a\nb", "x" * 101])
def test_name_that_is_none_of_a_user_is_refused(admin_client: FlaskClient, name: str) -> None:
    data = {"username": name, "password": PASSWORD, "role": "viewer"}
    assert post(admin_client, "/admin/users", **data)[0] == 422


def test_user_of_the_setting_stays_an_admin(admin_client: FlaskClient) -> None:
    status, page = post(admin_client, "/admin/users/role", name="admin", role="viewer")
    assert (status, "ADMIN_PASSWORD" in page) == (409, True)
    assert "Remove the user" not in admin_client.get("/admin/users/user?name=admin").text
    assert admin_client.get("/admin/users/user?name=nobody").status_code == 404


def test_commands_manage_users(app: Flask, runner: FlaskCliRunner) -> None:
    def run(*args: str) -> tuple[int, str]:
        result = runner.invoke(args=["user", *args])
        return result.exit_code, result.output

    assert run("add", "ada", "--role", "viewer", "--password", PASSWORD)[0] == 0
    assert run("add", "bob", "--password", PASSWORD)[0] == 0
    assert run("role", "ada", "admin") == (0, "ada is an admin\n")
    listed = run("list")[1]
    assert "ada  admin, 0 sessions" in listed and "bob  member, 0 sessions" in listed
    assert run("remove", "bob")[0] == 0
    assert run("remove", "bob")[0] == 2
    assert [entry.actor for entry in entries(app, "user_removed")] == ["command line"]


def test_first_user_of_a_store_is_an_admin(make_app: Callable[..., Flask]) -> None:
    app = make_app(ADMIN_PASSWORD=None)
    for name in ("ada", "bob"):
        app.test_cli_runner().invoke(args=["user", "add", name, "--password", PASSWORD])
    accounts = parts_of(app).accounts
    assert [accounts.user(name).role for name in ("ada", "bob")] == ["admin", "member"]  # type: ignore[union-attr]


def test_token_is_shown_once_and_listed_by_its_beginning(
    app: Flask, admin_client: FlaskClient
) -> None:
    create_project(parts_of(app).store, "Shop", 2)
    data = {"name": "ci", "scopes": ["read", "write"], "projects": "2", "days": "30"}
    status, page = post(admin_client, "/admin/tokens", **data)
    token = re.search(r'id="token"[^>]*>(dev_[^<]+)<', page)[1]  # type: ignore[index]
    assert status == 201
    headers = {"Authorization": f"Bearer {token}"}
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    reads = app.test_client()
    asked = "/api/issues?project_id=2"
    assert reads.get(asked, headers=headers, environ_base=elsewhere).status_code == 200
    listed = admin_client.get("/admin/tokens").text
    assert token not in listed and f"{token[:8]}…" in listed
    assert "read, write" in listed and "Shop" in listed and "just now" in listed
    assert post(admin_client, "/admin/tokens", **data)[0] == 422
    assert post(admin_client, "/admin/tokens", name="none", days="30")[0] == 422
    assert post(admin_client, "/admin/tokens", name="x", scopes="all", days="30")[0] == 422
    assert post(admin_client, "/admin/tokens/revoke", name="ci")[0] == 303
    assert reads.get(asked, headers=headers, environ_base=elsewhere).status_code == 401
    assert token not in str(entries(app)) and token[5:] not in str(entries(app))


def test_sessions_are_listed_and_end_alone(app: Flask) -> None:
    parts_of(app).accounts.add_user("ada", PASSWORD, "viewer")
    here, there, third = (logged_in(app, "ada") for _ in range(3))
    page = here.get("/admin/account").text
    assert page.count("Firefox, Linux") >= 3 and page.count("this one") == 1
    ids = re.findall(r'name="session" value="(\d+)"', page)
    assert len(ids) == 2
    post(here, "/admin/account/sessions/end", session=ids[0])
    assert sorted([there.get("/admin/").status_code, third.get("/admin/").status_code]) == [
        200,
        302,
    ]
    post(here, "/admin/account/sessions/end", session="others")
    assert there.get("/admin/").status_code == third.get("/admin/").status_code == 302
    assert here.get("/admin/").status_code == 200


def test_sessions_of_others_are_not_ended_by_their_number(app: Flask) -> None:
    accounts = parts_of(app).accounts
    for name in ("ada", "bob"):
        accounts.add_user(name, PASSWORD, "viewer")
    ada, bob = logged_in(app, "ada"), logged_in(app, "bob")
    for number in range(1, 10):
        post(bob, "/admin/account/sessions/end", session=str(number))
        if bob.get("/admin/").status_code == 302:
            bob = logged_in(app, "bob")
    assert ada.get("/admin/").status_code == 200


def test_changed_password_ends_the_other_sessions_in_every_process(
    make_app: Callable[..., Flask],
) -> None:
    app, other = make_app(), make_app()
    parts_of(app).accounts.add_user("ada", PASSWORD, "viewer")
    here, there = logged_in(app, "ada"), logged_in(other, "ada")
    new = {"current": PASSWORD, "password": "a better password"}
    wrong = post(here, "/admin/account/password", **{**new, "current": "wrong-horse"})
    assert (wrong[0], "The password is wrong." in wrong[1]) == (422, True)
    status, page = post(here, "/admin/account/password", **new)
    assert (status, "The password is changed." in page) == (303, True)
    assert there.get("/admin/").status_code == 302
    assert here.get("/admin/").status_code == 200
    logged_in(other, "ada", "a better password")


def test_time_zone_and_theme_are_kept_with_the_user(app: Flask) -> None:
    parts_of(app).accounts.add_user("ada", PASSWORD, "viewer")
    here = logged_in(app, "ada")
    wrong = post(here, "/admin/account", time_zone="Berlin", theme="dark")
    assert (wrong[0], "such as Europe/Berlin" in wrong[1]) == (422, True)
    assert post(here, "/admin/account", time_zone="europe/berlin", theme="dark")[0] == 303
    there = logged_in(app, "ada").get("/admin/").text
    assert 'data-time-zone="Europe/Berlin"' in there and 'data-theme="dark"' in there


def test_audit_log_says_who_did_what_and_holds_no_secret(
    app: Flask, admin_client: FlaskClient
) -> None:
    sentry.capture_message("card declined")
    store = parts_of(app).store
    create_project(store, "Shop", 2)
    key = rotate_key(store, 2)
    token = csrf_token(admin_client, "/admin/account")
    sure = {"csrf_token": token, "action": "delete", "ids": "1", "sure": "yes"}
    admin_client.post("/admin/issues/change", data=sure)
    hook = {"kind": "email", "name": "Hook", "address": "secret-part@example.org"}
    post(admin_client, "/admin/alerts/channels", **hook)
    admin_client.get("/api/deliveries.csv", buffered=True)
    client = app.test_client()
    client.post("/admin/login", data={**sure, "username": "admin", "password": "wrong-horse"})
    found = entries(app)
    assert {"login", "issues_deleted", "channel_added", "exported", "key_added"} <= {
        entry.action for entry in found
    }
    deleted = next(entry for entry in found if entry.action == "issues_deleted")
    assert (deleted.actor, deleted.address, deleted.detail) == ("admin", "127.0.0.1", "1")
    text = str(found)
    assert key not in text and "secret-part" not in text and "wrong-horse" not in text
    page = admin_client.get("/admin/audit").text
    assert "deleted issues" in page and "127.0.0.1" in page
    only = admin_client.get("/admin/audit?action=channel_added").text
    assert "channel Hook" in only and "issues: 1" not in only


def test_audit_log_over_the_api_needs_its_scope(app: Flask) -> None:
    accounts, elsewhere = parts_of(app).accounts, {"REMOTE_ADDR": "192.0.2.7"}
    for scope, status in ("read", 403), ("audit", 200):
        headers = {"Authorization": f"Bearer {accounts.create_token(scope, (scope,))}"}
        answer = app.test_client().get("/api/audit", headers=headers, environ_base=elsewhere)
        assert answer.status_code == status
    first = answer.json["entries"][0]
    assert (first["action"], first["target"]) == ("token_created", "audit")
    client = app.test_client()
    page = client.get("/api/audit?limit=1").json
    assert page["entries"] == [first]
    older = client.get(f"/api/audit?limit=1&cursor={page['next']}").json["entries"]
    assert older[0]["target"] == "read"


def test_nothing_changes_the_audit_log(app: Flask) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if "audit" in rule.rule]
    assert rules
    for rule in rules:
        assert (rule.methods or set()) <= {"GET", "HEAD", "OPTIONS"}


def test_change_that_fails_leaves_no_entry(app: Flask) -> None:
    with pytest.raises(RuntimeError), parts_of(app).store.write() as conn:
        audit.note(conn, "key_added", "project 2")
        raise RuntimeError
    assert entries(app) == []


def test_entry_is_cut_to_its_bound_and_one_line(app: Flask) -> None:
    with parts_of(app).store.write() as conn:
        caller = audit.Caller("a" * 999, "b" * 99)
        audit.note(conn, "key_added", "c" * 999, "d\n\x00" * 999, caller=caller)
    (entry,) = entries(app)
    assert [len(entry.actor), len(entry.address or ""), len(entry.target)] == [200, 45, 200]
    assert len(entry.detail) == 1000 and entry.detail.isprintable()


def test_old_entries_are_removed_after_their_own_time(app: Flask) -> None:
    store, now = parts_of(app).store, utc_now()
    row = {"actor": "ada", "action": "login", "target": "ada", "detail": ""}
    with store.write() as conn:
        for days in (1, 399):
            conn.execute(insert(audit_log).values(**row, at=now - timedelta(days=days)))
    audit.prune(store, 400, now)
    assert len(entries(app)) == 2
    audit.prune(store, 365, now)
    assert len(entries(app)) == 1


def test_flood_of_everyday_entries_removes_none_of_an_admin(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_ENTRIES", 3)
    store, ada = parts_of(app).store, audit.Caller("ada")
    with store.write() as conn:
        for action in ("role_changed", *["login", "exported"] * 4):
            audit.note(conn, action, "x", caller=ada)
    audit.prune(store, 365, utc_now())
    kept = [entry.action for entry in entries(app)]
    assert kept == ["exported", "login", "exported", "role_changed"]
    with store.write() as conn:
        for number in range(5):
            audit.note(conn, "key_added", f"project {number}", caller=ada)
    audit.prune(store, 365, utc_now())
    assert [entry.target for entry in entries(app)][:3] == ["project 4", "project 3", "project 2"]
    assert len(entries(app)) == 6


def test_export_is_noted_once_a_minute_for_each_who_exports(app: Flask) -> None:
    with parts_of(app).store.write() as conn:
        for actor in ("ada", "ada", "token:ci", "ada"):
            with audit.acting(audit.Caller(actor)):
                audit.note_once_a_minute(conn, "exported", "deliveries.csv")
    assert [entry.actor for entry in entries(app)] == ["token:ci", "ada"]


def test_password_of_a_user_who_was_removed_brings_nobody_back(app: Flask) -> None:
    accounts = parts_of(app).accounts
    with pytest.raises(UserError, match="no such user"):
        accounts.change_password("ada", PASSWORD)
    assert accounts.user("ada") is None
    assert entries(app) == []


def test_token_for_tools_names_whose_memories_they_read(
    app: Flask, admin_client: FlaskClient
) -> None:
    data = {"name": "agent", "scopes": "mcp", "memory_users": " ada \n\njürgen\n", "days": "30"}
    status, page = post(admin_client, "/admin/tokens", **data)
    token = re.search(r'id="token"[^>]*>(dev_[^<]+)<', page)[1]  # type: ignore[index]
    found = parts_of(app).accounts.access_of(token)
    assert status == 201 and found and found.memory_users == ("ada", "jürgen")
    assert "memories of ada, jürgen" in admin_client.get("/admin/tokens").text
    wrong = {**data, "name": "other", "scopes": "read"}
    status, page = post(admin_client, "/admin/tokens", **wrong)
    assert status == 422 and "Memory users are those of the scope mcp." in page


def test_removal_says_that_tokens_of_the_user_still_work(
    app: Flask, admin_client: FlaskClient
) -> None:
    accounts = parts_of(app).accounts
    accounts.add_user("ada", PASSWORD, "admin")
    with audit.acting(audit.Caller("ada")):
        accounts.create_token("ci", ("read",))
        accounts.create_token("old", ("read",))
        accounts.revoke_token("old")
    status, page = post(admin_client, "/admin/users/remove", name="ada")
    assert status == 303 and "1 token that ada made still works: see Tokens." in page


def test_no_token_is_named_as_that_of_the_setting(app: Flask) -> None:
    with pytest.raises(TokenError, match="choose another"):
        parts_of(app).accounts.create_token("API_TOKEN", ("read",))


def test_pages_of_people_ask_few_questions(app: Flask, admin_client: FlaskClient) -> None:
    accounts = parts_of(app).accounts
    for number in range(5):
        accounts.add_user(f"user {number}", PASSWORD, "viewer")
        accounts.create_token(f"token {number}", ("read",))
    with questions() as asked:
        for path in ("users", "users/user?name=admin", "tokens", "audit", "account"):
            asked.clear()
            assert admin_client.get(f"/admin/{path}").status_code == 200
            assert len(asked) <= 12, path
