"""What each role may do, on every page of the URL map.

A page that is new has to be added to ``PAGES`` with the roles that it is for, else this fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from werkzeug.exceptions import Forbidden
from werkzeug.test import TestResponse

from app import sentry
from app.accounts import User
from app.accounts.roles import ROLES
from app.web import access
from tests.conftest import csrf_token, parts_of

pytestmark = pytest.mark.one_database

READING = {"GET", "HEAD", "OPTIONS"}
PASSWORD = "their own password"
# Endpoints of pages by the role that reads, and the one that changes. What one only reads has no
# second role.
PAGES: dict[tuple[str, str | None], str] = {
    ("viewer", None): """
        start list_of_issues issue_news show_issue list_of_events news show_event show_trail
        show_payload show_markdown download_attachment show_picture search suggestions status
        list_of_feedback download_feedback_file list_of_deliveries show_delivery
        list_of_alerts show_alert list_of_releases show_release list_of_memory_users show_memories
        list_of_projects set_up_project show_first_event performance list_of_metrics
        list_of_ai_calls list_of_losses show_costs show_trace show_profile list_of_logs export_logs
        show_log_line live_logs
        list_of_monitors
        show_test_error show_all_test_errors completions""",
    ("viewer", "viewer"): """
        logout set_theme show_account change_own_password end_own_session""",
    ("viewer", "member"): """
        set_status assign_issue link_issue comment change_fix change_issues undo_change
        unmerge_issue change_feedback""",
    ("member", "member"): "trigger old_trigger test_all_projects",
    ("viewer", "admin"): """
        list_of_rules show_rule place_rule enable_rule delete_rule
        list_of_channels show_channel test_channel enable_channel delete_channel
        list_of_alert_rules show_alert_rule enable_alert_rule set_alert_rule_apart
        show_monitor change_monitor delete_monitor delete_monitor_environment
        delete_alert_rule send_notification_again show_project set_upstream set_upstream_api add_key
        restore_archived_project replay_deliveries discard_deliveries replay_delivery
        discard_delivery pause_delivery resume_delivery""",
    ("admin", "admin"): """
        show_settings new_project end_project remove_upstream revoke_project_key
        new_monitor
        new_alert_rule delete_memories list_of_erasures show_erasure list_of_users show_user
        change_role set_user_password end_user_sessions unlock_user remove_user list_of_tokens
        revoke_token show_audit""",
}
OF_PAGE = {f"admin.{name}": roles for roles, names in PAGES.items() for name in names.split()}
# Nothing has these ids, so that what is allowed changes nothing.
VALUES = {
    "issue_id": 999,
    "event_id": "e" * 32,
    "trace_id": "e" * 32,
    "number": 0,
    "place": "1-1",
    "envelope_id": 999,
    "feedback_id": 999,
    "release_id": 999,
    "rule_id": 999,
    "notice_id": 999,
    "channel_id": 999,
    "project_id": 999,
    "key": "k" * 32,
    "username": "nobody",
    "session_id": 999,
    "token_id": 999,
    "run_id": 999,
    "slug": "nothing",
}


def pages(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Yield endpoint, method and path of every page of people."""
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if not rule.endpoint.startswith("admin.") or rule.endpoint == "admin.login":
                continue
            path = app.url_for(rule.endpoint, **{name: VALUES[name] for name in rule.arguments})
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule.endpoint, method, path


def as_role(app: Flask, role: str) -> FlaskClient:
    """Return a client that is logged in as a user of a role."""
    accounts = parts_of(app).accounts
    if not accounts.is_user(f"a {role}"):
        accounts.add_user(f"a {role}", PASSWORD, role)
    client = app.test_client()
    data = {"username": f"a {role}", "password": PASSWORD}
    data["csrf_token"] = csrf_token(client, "/admin/login")
    assert client.post("/admin/login", data=data).status_code == 303
    return client


def test_every_page_is_classified(app: Flask) -> None:
    found = {endpoint for endpoint, _, _ in pages(app)}
    assert found == set(OF_PAGE)


def test_each_role_gets_its_pages_and_no_other(app: Flask) -> None:
    wrong = []
    for (endpoint, method, path), role in product(pages(app), ROLES):
        reads, changes = OF_PAGE[endpoint]
        needed = reads if method in READING else changes or reads
        with app.test_request_context(path, method=method):
            g._login_user = User(f"a {role}", role)
            try:
                refused = "" if access.enforce() is None else "no answer is expected"
            except Forbidden as error:
                refused = str(error.description)
        is_right = ROLES.index(role) >= ROLES.index(needed)
        if bool(refused) == is_right or f"role {needed}" not in (refused or f"role {needed}"):
            wrong.append((role, method, path, refused))
    assert wrong == []


def test_nobody_gets_a_page_without_a_login(app: Flask) -> None:
    for endpoint, method, path in pages(app):
        with app.test_request_context(path, method=method):
            answer = access.enforce()
        assert answer is not None, (endpoint, method)
        assert answer.status_code == 302, (endpoint, method)  # type: ignore[union-attr]


def test_refused_change_says_which_role_is_needed_inside_the_navigation(app: Flask) -> None:
    sentry.capture_message("card declined")
    client = as_role(app, "viewer")
    data = {"csrf_token": csrf_token(client, "/admin/"), "action": "resolve"}
    answer = client.post("/admin/issues/1/status", data=data)
    assert answer.status_code == 403
    assert "needs the role member, and yours is viewer" in answer.text
    assert 'aria-label="Pages"' in answer.text
    assert client.get("/system/status").status_code == 200
    assert "Resolve</button>" not in client.get("/admin/issues/1").text


def forms_of(page: TestResponse) -> set[str]:
    """Return where the forms of a page post to, without its frame."""
    found = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', page.text)
    return {path for path in found if path not in ("/admin/theme", "/admin/logout")}


@pytest.mark.parametrize("role", ROLES)
def test_pages_offer_no_form_that_is_refused(app: Flask, role: str) -> None:
    sentry.capture_message("card declined")
    event_id = sentry.capture_message("card declined again")
    client = as_role(app, role)
    adapter = app.url_map.bind("localhost")
    paths = ["issues", "issues/1", f"events/{event_id}", "deliveries", "deliveries/1", "projects"]
    paths += ["projects/1", "projects/1/setup", "rules", "alerts", "alerts/rules", "alerts/rules/1"]
    paths += ["alerts/channels", "feedback", "memories", "releases", "status", ""]
    offered = {form for path in paths for form in forms_of(client.get(f"/admin/{path}"))}
    for form in offered:
        endpoint, _ = adapter.match(form.replace("&amp;", "&").partition("?")[0], method="POST")
        reads, changes = OF_PAGE[endpoint]
        fields = "fields of it are disabled" if endpoint in READABLE_FORMS else ""
        assert fields or ROLES.index(role) >= ROLES.index(changes or reads), (role, form)
    assert bool(offered - READABLE_PATHS) == (role != "viewer")


# Forms that everybody sees, because they show what is set; who may not change it cannot send them.
READABLE_FORMS = {"admin.show_project", "admin.show_alert_rule", "admin.show_rule"}
READABLE_PATHS = {"/admin/projects/1", "/admin/alerts/rules/1"}


def test_members_do_not_delete_issues(app: Flask) -> None:
    sentry.capture_message("card declined")
    client = as_role(app, "member")
    token = csrf_token(client, "/admin/issues/1")
    data = {"csrf_token": token, "action": "delete", "ids": "1", "sure": "yes"}
    assert client.post("/admin/issues/change", data=data).status_code == 403
    assert client.get("/admin/issues/1").status_code == 200
    data["action"] = "resolve"
    assert client.post("/admin/issues/change", data=data).status_code == 303


def test_changed_role_counts_from_the_next_request_in_every_process(
    make_app: Callable[..., Flask],
) -> None:
    here, there = make_app(), make_app()
    client = as_role(here, "member")
    assert client.get("/admin/test-error").status_code == 200
    parts_of(there).accounts.change_role("a member", "viewer")
    assert client.get("/admin/test-error").status_code == 403
    parts_of(there).accounts.remove_user("a member")
    assert client.get("/admin/").status_code == 302
