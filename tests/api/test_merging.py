"""Merging and unmerging by the API and by the forms of the pages."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.issues import merging
from app.projects import projects
from app.store import utc_now
from tests.api.test_triage import send
from tests.conftest import csrf_token, parts_of


@pytest.fixture
def ids(app: Flask, client: FlaskClient) -> list[int]:
    """Three issues, the oldest first."""
    for message in ("no price", "no stock", "no address"):
        send(app, message)
    return sorted(issue["id"] for issue in client.get("/api/issues").json["issues"])


def groupings(client: FlaskClient, issue_id: int) -> list[dict[str, Any]]:
    answer = client.get(f"/api/issues/{issue_id}/groupings")
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json["groupings"]
    return found


def test_merged_issues_are_one_and_their_groupings_make_issues_again(
    client: FlaskClient, ids: list[int]
) -> None:
    answer = client.post("/api/issues/merge", json={"ids": ids[::-1]})
    assert (answer.status_code, answer.json) == (200, {"id": ids[0]})
    (issue,) = client.get("/api/issues").json["issues"]
    assert (issue["id"], issue["times_seen"], issue["stored_event_count"]) == (ids[0], 3, 3)
    assert client.get(f"/api/issues/{ids[2]}").json["id"] == ids[0]
    there = groupings(client, ids[0])
    assert {one["key"] for one in there} == {
        "message no price",
        "message no stock",
        "message no address",
    }
    taken = [one["hash"] for one in there if one["key"] != "message no price"]
    made = client.post(f"/api/issues/{ids[0]}/unmerge", json={"hashes": taken}).json["ids"]
    assert len(made) == 2
    assert [
        grouping["times_seen"] for number in made for grouping in groupings(client, number)
    ] == [1, 1]
    assert client.get(f"/api/issues/{ids[0]}").json["times_seen"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [({"ids": [1]}, "ids"), ({"ids": [1, 10**6]}, "ids"), ({"ids": "all"}, "ids"), ({}, "ids")],
)
def test_what_cannot_be_merged_is_answered_422_with_the_field(
    client: FlaskClient, ids: list[int], body: dict[str, Any], field: str
) -> None:
    answer = client.post("/api/issues/merge", json=body)
    assert answer.status_code == 422
    assert [one["field"].split(".")[0] for one in answer.json["errors"]] == [field]
    assert len(client.get("/api/issues").json["issues"]) == 3


def test_issues_of_two_projects_stay_two(app: Flask, client: FlaskClient, ids: list[int]) -> None:
    with parts_of(app).store.write() as conn:
        conn.execute(projects.insert().values(id=2, name="shop", created_at=utc_now()))
    send(app, "no price", project_id=2)
    other = client.get("/api/issues", query_string={"project_id": 2}).json["issues"][0]["id"]
    answer = client.post("/api/issues/merge", json={"ids": [ids[0], other]})
    assert answer.status_code == 422 and "one project" in answer.text


def test_unmerging_refuses_what_is_no_grouping_and_the_last_one(
    client: FlaskClient, ids: list[int]
) -> None:
    path = f"/api/issues/{ids[0]}/unmerge"
    last = groupings(client, ids[0])[0]["hash"]
    for hashes, said in [(["0" * 64], "no grouping"), ([last], "has to stay")]:
        answer = client.post(path, json={"hashes": hashes})
        assert answer.status_code == 422 and said in answer.text
    assert client.post("/api/issues/999/unmerge", json={"hashes": [last]}).status_code == 404
    assert client.get("/api/issues/999/groupings").status_code == 404


def test_issue_whose_events_are_on_their_way_is_answered_409_and_said_on_the_page(
    admin_client: FlaskClient,
    client: FlaskClient,
    ids: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(merging, "follow_up", lambda store: None)  # As for very many events.
    assert client.post("/api/issues/merge", json={"ids": ids[:2]}).status_code == 200
    hashes = [groupings(client, ids[0])[0]["hash"]]
    for path, body in [
        ("/api/issues/merge", {"ids": [ids[0], ids[2]]}),
        (f"/api/issues/{ids[0]}/unmerge", {"hashes": hashes}),
    ]:
        answer = client.post(path, json=body)
        assert answer.status_code == 409 and "still on their way" in answer.text
    token = csrf_token(admin_client, "/admin/issues")
    form = {"csrf_token": token, "action": "merge", "ids": [str(ids[0]), str(ids[2])]}
    page = admin_client.post("/admin/issues/change", data=form, follow_redirects=True).text
    assert "Nothing was merged: events of issue" in page and "try again in a minute" in page
    assert len(client.get("/api/issues").json["issues"]) == 2


def test_pages_merge_the_chosen_issues_and_unmerge_the_chosen_groupings(
    admin_client: FlaskClient, client: FlaskClient, ids: list[int]
) -> None:
    token = csrf_token(admin_client, "/admin/issues")
    form = {"csrf_token": token, "action": "merge", "ids": [str(number) for number in ids]}
    answer = admin_client.post("/admin/issues/change", data=form)
    assert answer.headers["Location"].endswith(f"/admin/issues/{ids[0]}")
    assert "3 groupings" in admin_client.get(f"/admin/issues/{ids[1]}?tab=groups").text
    assert "Merged</b> by admin" in admin_client.get(f"/admin/issues/{ids[1]}?tab=history").text
    hashes = [groupings(client, ids[0])[0]["hash"]]
    data = {"csrf_token": token, "hashes": hashes}
    admin_client.post(f"/admin/issues/{ids[0]}/unmerge", data=data)
    assert "2 groupings" in admin_client.get(f"/admin/issues/{ids[0]}?tab=groups").text
    assert len(client.get("/api/issues").json["issues"]) == 2


def test_page_says_why_nothing_was_merged(admin_client: FlaskClient, ids: list[int]) -> None:
    token = csrf_token(admin_client, "/admin/issues")
    form = {"csrf_token": token, "action": "merge", "ids": [str(ids[0])]}
    answer = admin_client.post("/admin/issues/change", data=form, follow_redirects=True)
    assert "Nothing was merged: 2 to 100 different issues are expected" in answer.text
