"""Issues through the API: filters, sortings, and what writes change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app import sentry
from app.issues.counting import _tag_upsert
from app.issues.tables import issues
from app.projects import projects
from app.protocol.envelope import Envelope, Item
from app.store import DriverStatement, utc_now
from tests.conftest import API_TOKEN, parts_of


def send(app: Flask, message: str, project_id: int = 1, **payload: Any) -> str:
    item = Item({"type": "event"}, {"message": message, **payload})
    accepted = parts_of(app).intake.accept(
        Envelope({}, [item]), project_id=project_id, timeout_s=10
    )
    assert accepted.event_id is None or accepted.event_id
    return message


def titles(client: FlaskClient, **query: Any) -> list[str]:
    answer = client.get("/api/issues", query_string=query)
    assert answer.status_code == 200, answer.text
    return [issue["title"] for issue in answer.json["issues"]]


def the_issue(client: FlaskClient) -> dict[str, Any]:
    (issue,) = client.get("/api/issues").json["issues"]
    return issue


def test_filters_narrow_the_list_and_the_total(app: Flask, client: FlaskClient) -> None:
    with parts_of(app).store.write() as conn:
        conn.execute(projects.insert().values(id=2, name="shop", created_at=utc_now()))
    send(app, "100% full", level="fatal", environment="prod", release="shop@1")
    send(app, "100 is full", level="info", environment="test", release="shop@2")
    send(app, "of the shop", project_id=2, release="shop@1")
    for query, expected in [
        ({"level": "fatal"}, ["100% full"]),
        ({"q": "0% FULL"}, ["100% full"]),
        ({"environment": "test"}, ["100 is full"]),
        ({"release": "shop@1"}, ["of the shop", "100% full"]),
        ({"project_id": 2}, ["of the shop"]),
        ({"project_id": 2, "level": "fatal"}, []),
        ({"status": "resolved"}, []),
        ({"q": "\x00", "environment": "\x00", "release": "\x00"}, []),
    ]:
        assert titles(client, **query) == expected, query
        answer = client.get("/api/issues", query_string={**query, "limit": 1}).json
        assert answer["total"] == len(expected), query


def test_issue_is_found_by_the_id_of_one_of_its_events(client: FlaskClient) -> None:
    wanted = sentry.capture_message("wanted")
    sentry.capture_message("another")
    assert titles(client, q=wanted) == ["wanted"]


def test_release_is_found_although_its_tag_had_no_place(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.issues.counting.MAX_VALUES", 1)
    # The bound is a part of the statement.
    monkeypatch.setattr("app.issues.counting._TAG_UPSERT", DriverStatement(_tag_upsert))
    send(app, "a", release="shop@1")
    send(app, "a", release="shop@2")
    assert titles(client, release="shop@1") == titles(client, release="shop@2") == ["a"]


@pytest.mark.parametrize("sort", ["last_seen", "first_seen", "times_seen", "users"])
@pytest.mark.parametrize("status", [None, "unresolved"])
def test_every_sorting_pages_without_gap_or_repetition(
    app: Flask, client: FlaskClient, sort: str, status: str | None
) -> None:
    for name in "abcdefgh":
        for number in range(ord(name) % 3 + 1):
            send(app, name, user={"id": str(number)})
    # Moments and counts that several share, so that the id has to decide.
    with parts_of(app).store.write() as conn:
        same = {"last_seen": utc_now(), "first_seen": utc_now()}
        conn.execute(update(issues).where(issues.c.title.in_(list("bdf"))).values(**same))
        if status is None:
            conn.execute(
                update(issues).where(issues.c.title.in_(list("ace"))).values(status="ignored")
            )
    query: dict[str, Any] = {"sort": sort, **({"status": status} if status else {})}
    whole = client.get("/api/issues", query_string=query).json["issues"]
    assert sorted(issue["title"] for issue in whole) == list("abcdefgh")
    assert [i[sort] for i in whole] == sorted((i[sort] for i in whole), reverse=True)
    paged: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(
            "/api/issues",
            query_string={**query, "limit": 3, **({"cursor": cursor} if cursor else {})},
        ).json
        paged += page["issues"]
        cursor = page["next"]
    assert paged == whole


@pytest.mark.parametrize(
    "cursor",
    [
        "x", "1~", "~1", "1~0", "-1~1", f"{2**31}~1", f"1~{2**63}", "2026-01-01~1",
        "0001-01-01T00:00:00+14:00~1", "9999-12-31T23:59:59-14:00~1", "9" * 90 + "~1", "1.5~1",
    ],
)  # fmt: skip
def test_cursor_of_another_kind_is_422(client: FlaskClient, cursor: str) -> None:
    for sort in ("times_seen", "last_seen"):
        answer = client.get("/api/issues", query_string={"cursor": cursor, "sort": sort})
        assert answer.status_code == 422, (cursor, sort)
        assert answer.json["errors"][0]["field"] == "cursor"


def test_issue_tells_of_its_last_24_hours(client: FlaskClient) -> None:
    sentry.capture_message("one")
    sentry.capture_message("one")
    issue = the_issue(client)
    assert len(issue["hours"]) == 24
    # Not the last hour alone: the clock may strike between the two.
    assert sum(issue["hours"]) == 2


# ---- writes -------------------------------------------------------------------------------------


def test_status_is_changed_with_a_row_that_names_the_token(make_app: Callable[..., Flask]) -> None:
    client = make_app(API_TOKEN=API_TOKEN).test_client()
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    sentry.capture_message("one")
    path = f"/api/issues/{the_issue(client)['id']}"
    for _ in range(2):  # the second time changes nothing
        answer = client.patch(path, json={"status": "resolved"}, headers=headers)
        assert (answer.status_code, answer.json["status"]) == (200, "resolved")
    client.patch(path, json={"status": "ignored"})
    found = client.get(f"{path}/transitions").json["transitions"]
    assert [(row["kind"], row["actor"]) for row in found] == [
        ("ignored", "loopback"),
        ("resolved", "token:API_TOKEN"),
        ("first_seen", None),
    ]


def test_resolved_issue_that_recurs_is_regressed(client: FlaskClient) -> None:
    sentry.capture_message("one")
    path = f"/api/issues/{the_issue(client)['id']}"
    client.patch(path, json={"status": "resolved"})
    again = sentry.capture_message("one")
    issue = client.get(path).json
    assert (issue["status"], issue["regressed"], issue["times_seen"]) == ("unresolved", True, 2)
    latest = client.get(f"{path}/transitions?limit=1").json
    assert latest["transitions"][0]["kind"] == "regressed"
    assert latest["transitions"][0]["event_id"] == again
    rest = client.get(f"{path}/transitions", query_string={"cursor": latest["next"]}).json
    assert [row["kind"] for row in rest["transitions"]] == ["resolved", "first_seen"]
    assert rest["next"] is None


def test_many_are_changed_by_their_ids_or_by_what_matches(app: Flask, client: FlaskClient) -> None:
    for name in ("shop a", "shop b", "other"):
        send(app, name)
    ids = {issue["title"]: issue["id"] for issue in client.get("/api/issues").json["issues"]}
    by_id = client.patch("/api/issues", json={"ids": [ids["other"], 999_999], "status": "resolved"})
    assert (by_id.status_code, by_id.json) == (200, {"changed": [ids["other"]]})
    matching = client.patch(
        "/api/issues", json={"where": {"q": "shop", "status": "unresolved"}, "status": "ignored"}
    )
    assert matching.json == {"changed": [ids["shop a"], ids["shop b"]]}
    assert titles(client, status="unresolved") == []


def test_deleted_issue_is_gone_and_its_events_with_it(client: FlaskClient) -> None:
    event_id = sentry.capture_message("one")
    path = f"/api/issues/{the_issue(client)['id']}"
    answer = client.delete(path, json={})
    assert (answer.status_code, answer.data) == (204, b"")
    for gone in (path, f"/api/events/{event_id}", f"{path}/tags", f"{path}/transitions"):
        assert client.get(gone).status_code == 404, gone
    assert client.delete(path, json={}).status_code == 404
    assert client.patch(path, json={"status": "resolved"}).status_code == 404
    assert client.post(f"{path}/comments", json={"text": "x"}).status_code == 404
    status = client.get("/system/status").json
    assert status["store"]["events"] == status["store"]["issues"] == 0
    assert status["accounting"]["balanced"]


def test_many_are_deleted_at_once(app: Flask, client: FlaskClient) -> None:
    for name in ("a", "b", "c"):
        send(app, name)
    ids = [issue["id"] for issue in client.get("/api/issues").json["issues"]]
    assert client.delete("/api/issues", json={"ids": ids[:1]}).json == {"changed": ids[:1]}
    assert client.delete("/api/issues", json={"where": {}}).json == {"changed": sorted(ids[1:])}
    assert titles(client) == []


def test_comment_stands_in_the_history(client: FlaskClient) -> None:
    sentry.capture_message("one")
    path = f"/api/issues/{the_issue(client)['id']}"
    answer = client.post(f"{path}/comments", json={"text": "known, <b>see</b> 17"})
    assert (answer.status_code, answer.json["note"]) == (201, "known, <b>see</b> 17")
    assert client.get(f"{path}/transitions").json["transitions"][0] == answer.json


def test_tags_come_with_their_shares(app: Flask, client: FlaskClient) -> None:
    for value in ("a", "a", "a", "b"):
        send(app, "x", tags={"shop": value})
    tags = client.get(f"/api/issues/{the_issue(client)['id']}/tags").json["tags"]
    (shop,) = (tag for tag in tags if tag["key"] == "shop")
    assert shop == {
        "key": "shop",
        "times_seen": 4,
        "values": [
            {"value": "a", "times_seen": 3, "share": 0.75},
            {"value": "b", "times_seen": 1, "share": 0.25},
        ],
        "other": 0,
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "/api/issues/1", {}, "status"),
        ("PATCH", "/api/issues/1", {"status": "deleted"}, "status"),
        ("PATCH", "/api/issues/1", {"status": "resolved", "more": 1}, "more"),
        ("PATCH", "/api/issues", {"status": "resolved"}, "body"),
        ("PATCH", "/api/issues", {"ids": [1], "where": {}, "status": "resolved"}, "body"),
        ("PATCH", "/api/issues", {"ids": [], "status": "resolved"}, "ids"),
        ("PATCH", "/api/issues", {"ids": ["1"], "status": "resolved"}, "ids.0"),
        ("PATCH", "/api/issues", {"ids": [2**63], "status": "resolved"}, "ids.0"),
        ("DELETE", "/api/issues", {}, "body"),
        ("DELETE", "/api/issues", {"where": {"nonsense": 1}}, "where.nonsense"),
        ("POST", "/api/issues/1/comments", {"text": " \n "}, "text"),
        ("POST", "/api/issues/1/comments", {"text": "x" * 10_001}, "text"),
    ],
)
def test_wrong_bodies_change_nothing_and_name_the_field(
    client: FlaskClient, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    sentry.capture_message("one")
    answer = client.open(path, method=method, json=body)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert (the_issue(client)["status"], len(titles(client))) == ("unresolved", 1)


@pytest.mark.parametrize("number", ["0", "77", str(2**63), "9" * 30])
def test_unknown_issue_is_a_404_problem_for_every_write(client: FlaskClient, number: str) -> None:
    for method, suffix, body in [
        ("PATCH", "", {"status": "resolved"}),
        ("DELETE", "", {}),
        ("POST", "/comments", {"text": "x"}),
    ]:
        answer = client.open(f"/api/issues/{number}{suffix}", method=method, json=body)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_lists_read_an_index_for_every_sorting(app: Flask) -> None:
    """Rows beyond the page are not looked at, on either database."""
    from app.issues.filter import SORTS, IssueFilter
    from app.issues.queries import list_issues

    store, asked = parts_of(app).store, []
    with store.write() as conn:
        row = {
            "project_id": 1, "title": "t",
            "culprit": "c", "type": "T", "level": "error", "times_seen": 1,
            "stored_event_count": 0, "users": 0, "first_seen": utc_now(), "last_seen": utc_now(),
        }  # fmt: skip
        conn.execute(issues.insert(), [dict(row) for _ in range(3000)])
        if not store.is_sqlite:
            conn.exec_driver_sql("ANALYZE issues")

    from sqlalchemy import event as sqlalchemy_event

    def note(conn, cursor, statement, parameters, *_) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    engine = store._reader()
    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    with store.read() as conn:
        for sort in SORTS:
            page = list_issues(conn, IssueFilter(status="unresolved"), sort=sort)
            after = getattr(page[-1], sort), page[-1].id
            list_issues(conn, IssueFilter(status="unresolved"), sort=sort, after=after)
    sqlalchemy_event.remove(engine, "before_cursor_execute", note)
    assert len(asked) == 2 * len(SORTS)
    explain = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "
    with store.read() as conn:
        for statement, parameters in asked:
            plan = str(conn.exec_driver_sql(explain + statement, parameters).all())
            assert "ix_issues_status_" in plan, plan
            assert "TEMP B-TREE" not in plan and "Sort" not in plan, plan
