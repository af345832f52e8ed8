"""Test errors: they have issues of their own, which figures and rate alerts do not count."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.issues import merging
from app.issues.groupings import groupings_of
from app.issues.queries import list_issues
from app.protocol.test_error import fingerprint_of_test
from tests.alert_steps import evaluate, only, store_events, titles
from tests.conftest import parts_of
from tests.issues.payloads import calls

pytestmark = pytest.mark.one_database

TAGS = {"tags": {"test": "true"}}


def a_test(*names: str, **more: Any) -> dict[str, Any]:
    return {**calls(*names, **more), **TAGS, "fingerprint": fingerprint_of_test()}


def only_issues(app: Flask) -> list[Any]:
    with parts_of(app).store.read() as conn:
        return list_issues(conn)


def test_test_error_never_shares_an_issue_with_a_real_error(app: Flask) -> None:
    store_events(app, calls("charge"), a_test("charge"))
    found = only_issues(app)
    assert sorted((issue.times_seen, issue.is_test) for issue in found) == [(1, False), (1, True)]


@pytest.mark.parametrize(
    "payload", [calls("charge") | TAGS, calls("charge") | {"fingerprint": fingerprint_of_test()}]
)
def test_tag_or_fingerprint_alone_hides_nothing(app: Flask, payload: dict[str, Any]) -> None:
    store_events(app, payload)
    [issue] = only_issues(app)
    assert not issue.is_test


def test_rule_that_puts_test_errors_into_an_issue_makes_them_count(
    app: Flask, client: FlaskClient
) -> None:
    rule = {"kind": "fingerprint", "text": "error.type:ValueError -> all-of-them"}
    assert client.post("/api/rules", json=rule).status_code == 201
    store_events(app, a_test("charge"), calls("pay"))
    [issue] = only_issues(app)
    assert (issue.times_seen, issue.is_test) == (2, False)


def test_merged_issue_counts_if_one_of_its_issues_does_and_unmerging_undoes_that(
    app: Flask,
) -> None:
    store_events(app, a_test("charge"), calls("charge"))
    first, second = sorted(only_issues(app), key=lambda issue: issue.id)
    assert first.is_test and not second.is_test
    with parts_of(app).store.write() as conn:
        merging.merge(conn, [first.id, second.id], "me")
    merging.follow_up(parts_of(app).store)
    [merged] = only_issues(app)
    assert not merged.is_test
    with parts_of(app).store.write() as conn:
        hashes = [one.hash for one in groupings_of(conn, merged.id) if "test error" in one.key]
        merging.unmerge(conn, merged.id, hashes, "me")
    assert sorted(issue.is_test for issue in only_issues(app)) == [False, True]


def test_frequency_does_not_count_test_errors(app: Flask) -> None:
    only(app, "frequency", threshold=3, window_minutes=60)
    store_events(app, *[a_test("charge", value="a test")] * 5)
    store_events(app, *[calls("charge", value="declined")] * 3)
    evaluate(app)
    assert titles(app) == ["3 events or more within 60 minutes: ValueError: declined"]


def test_new_issue_of_a_test_error_notifies(app: Flask) -> None:
    only(app, "new_issue")
    store_events(app, a_test("charge", value="declined"))
    evaluate(app)
    assert titles(app) == ["New issue: ValueError: declined"]


def test_start_counts_no_test_errors_and_lists_have_a_badge(
    app: Flask, admin_client: FlaskClient
) -> None:
    store_events(app, calls("charge"), a_test("charge"), a_test("charge"))
    start = admin_client.get("/admin/").text
    badge = '<span class="chip">test</span>'
    assert start.count(badge) == 2 and "1 event</span>" in start and "more new" not in start
    assert (
        start[start.index('id="most-title"') : start.index('id="recent-title"')].count("<tr>") == 2
    )
    assert admin_client.get("/admin/events").text.count(badge) == 2
    assert admin_client.get("/admin/issues").text.count(badge) == 1
    found = {issue["is_test"]: issue for issue in admin_client.get("/api/issues").json["issues"]}
    assert badge in admin_client.get(f"/admin/issues/{found[True]['id']}").text
    assert badge not in admin_client.get(f"/admin/issues/{found[False]['id']}").text
