"""Resolved in a release: what brings an issue back, and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Row

from app.insights.releases import announce
from app.issues import triage
from app.issues.queries import find_issue, transitions_of
from app.issues.triage import IN_NEXT_RELEASE, Fix
from app.projects import create_project
from app.store import Store, utc_now
from tests.admin.hostile import insert
from tests.conftest import csrf_token, parts_of

NEXT = {"status": "resolved", "resolved_in": {"next_release": True}}
NEXT_OF_OLD = {"status": "resolved", "statusDetails": {"inNextRelease": True}}


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


def happen(app: Flask, release: str | None, project_id: int = 1) -> None:
    insert(app, {"message": "bug", "release": release}, project_id)


def resolve(store: Store, **fix: Any) -> list[int]:
    with store.write() as conn:
        return triage.set_status(conn, [1], "resolved", "ada", fix=Fix(**fix))


def issue(store: Store, issue_id: int = 1) -> Row[Any]:
    with store.read() as conn:
        found = find_issue(conn, issue_id)
    assert found is not None
    return found


def history(store: Store) -> list[tuple[str, str | None, str | None]]:
    with store.read() as conn:
        return [(row.kind, row.release, row.note) for row in transitions_of(conn, 1)][::-1]


def test_issue_resolved_in_the_next_release_comes_back_with_that_one_alone(
    app: Flask, store: Store
) -> None:
    happen(app, "shop@1")
    happen(app, "shop@2")
    assert resolve(store, in_next=True) == [1]
    for release in ("shop@1", "shop@2", None):
        happen(app, release)
    assert (issue(store).status, issue(store).resolved_in) == ("resolved", None)
    insert(app, {"message": "another", "release": "shop@0"})  # first seen after, whatever it says
    assert (issue(store).status, issue(store).resolved_in) == ("resolved", "shop@0")
    happen(app, "shop@1")
    assert (issue(store).status, issue(store).times_seen) == ("resolved", 6)
    happen(app, "shop@0")
    row = issue(store)
    assert (row.status, row.regressed, row.resolved_in) == ("unresolved", True, None)
    assert history(store)[1:] == [
        ("resolved", None, IN_NEXT_RELEASE),
        ("regressed", "shop@0", None),
    ]


def test_event_that_makes_the_next_release_known_brings_the_issue_back(
    app: Flask, store: Store
) -> None:
    happen(app, "shop@1")
    resolve(store, in_next=True)
    happen(app, "shop@2")
    assert history(store)[-1] == ("regressed", "shop@2", None)


def test_announced_release_is_the_next_one(app: Flask, store: Store) -> None:
    happen(app, "shop@1")
    resolve(store, in_next=True)
    with store.write() as conn:
        announce(conn, 1, "shop@2", "ci", utc_now())
    assert issue(store).resolved_in == "shop@2"
    assert resolve(store, in_next=True) == [1]  # in that after it
    assert issue(store).resolved_in is None
    happen(app, "shop@2")
    assert issue(store).status == "resolved"


def test_issue_resolved_in_a_release_comes_back_with_it_and_newer_ones(
    app: Flask, store: Store
) -> None:
    for release in ("shop@1", "shop@2", "shop@3"):
        happen(app, release)
    for comes_back in ("shop@2", "shop@3"):
        assert resolve(store, version="shop@2") == [1]
        assert resolve(store, version="shop@2") == []
        happen(app, "shop@1")
        assert issue(store).status == "resolved"
        happen(app, comes_back)
        assert issue(store).regressed
    assert history(store)[1:3] == [("resolved", "shop@2", None), ("regressed", "shop@2", None)]
    assert resolve(store, version="shop@77") == []


def test_issue_resolved_plainly_comes_back_with_anything_and_names_the_newest_release(
    app: Flask, store: Store
) -> None:
    for release in ("shop@1", "shop@2"):
        happen(app, release)
    resolve(store)
    assert history(store)[-1] == ("resolved", "shop@2", None)
    happen(app, "shop@1")
    assert issue(store).regressed
    resolve(store, in_next=True)
    assert resolve(store) == [1]  # changed his mind: plainly
    happen(app, None)
    assert issue(store).regressed


def test_releases_of_another_project_are_nobodys_next_one(app: Flask, store: Store) -> None:
    create_project(store, "Shop", 7, "a" * 32)
    happen(app, "shop@1")
    resolve(store, in_next=True)
    happen(app, "shop@2", project_id=7)
    assert issue(store).resolved_in is None
    happen(app, "shop@1")
    assert issue(store).status == "resolved"


@pytest.mark.parametrize("leave", [triage.reopen, triage.ignore])
def test_issue_that_is_not_resolved_waits_for_no_release(
    app: Flask, store: Store, leave: Any
) -> None:
    happen(app, "shop@1")
    resolve(store, in_next=True)
    with store.write() as conn:
        leave(conn, [1], "ada")
    happen(app, "shop@2")
    assert (issue(store).resolved_after, issue(store).resolved_in) == (None, None)


# ---- from outside -------------------------------------------------------------------------------


def test_api_resolves_in_the_next_release_and_in_a_given_one(
    app: Flask, client: FlaskClient
) -> None:
    happen(app, "shop@1")
    answer = client.patch("/api/issues/1", json=NEXT).json
    assert (answer["status"], answer["resolved_in_next_release"]) == ("resolved", True)
    happen(app, "shop@1")
    insert(app, {"message": "another", "release": "shop@2"})
    answer = client.get("/api/issues/1").json
    assert (answer["status"], answer["resolved_in"]) == ("resolved", "shop@2")
    assert answer["resolved_in_next_release"] is False
    given = {"status": "resolved", "resolved_in": {"release": "shop@1"}}
    assert client.patch("/api/issues/1", json=given).json["resolved_in"] == "shop@1"
    assert client.patch("/api/issues/1", json=NEXT_OF_OLD).json["resolved_in_next_release"]
    old = {"status": "resolved", "statusDetails": {"inRelease": "shop@2"}}
    assert client.patch("/api/issues/1", json=old).json["resolved_in"] == "shop@2"
    ids = sorted(one["id"] for one in client.get("/api/issues").json["issues"])
    assert len(ids) == 2
    assert client.patch("/api/issues", json={"ids": ids, **NEXT}).json == {"changed": ids}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (
            {"status": "resolved", "statusDetails": {"inRelease": "shop@9"}},
            "statusDetails.inRelease",
        ),
        ({"status": "resolved", "statusDetails": {"inRelease": ""}}, "statusDetails.inRelease"),
        ({"status": "resolved", "statusDetails": {"inNextRelease": 1}}, "statusDetails.inNext"),
        (
            {"status": "resolved", "statusDetails": {"inNextRelease": True, "inRelease": "x"}},
            "statusDetails",
        ),
        ({"status": "ignored", "statusDetails": {"inNextRelease": True}}, "body"),
        ({"status": "resolved", "resolved_in": {"release": "shop@9"}}, "resolved_in.release"),
        ({"status": "resolved", "resolved_in": {"release": ""}}, "resolved_in.release"),
        ({"status": "resolved", "resolved_in": {}}, "resolved_in"),
        ({"status": "resolved", "resolved_in": {"next_release": True, "release": "x"}}, "resolved"),
        ({"status": "ignored", "resolved_in": {"next_release": True}}, "body"),
        ({**NEXT, "statusDetails": {"inNextRelease": True}}, "body"),
        ({"status": "resolved", "statusDetails": {"inCommit": "x"}}, "statusDetails.inCommit"),
        ({"status": "resolved", "in_next": True}, "in_next"),
    ],
)
def test_wrong_details_are_named(
    app: Flask, client: FlaskClient, body: dict[str, Any], field: str
) -> None:
    happen(app, "shop@1")
    answer = client.patch("/api/issues/1", json=body)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"].startswith(field)
    assert client.get("/api/issues/1").json["status"] == "unresolved"


def test_pages_resolve_in_the_next_release_one_and_many(
    app: Flask, admin_client: FlaskClient, store: Store
) -> None:
    # A project of its own: the requests below make this application's release known to project 1.
    create_project(store, "Shop", 7, "a" * 32)
    happen(app, "shop@1", project_id=7)
    insert(app, {"message": "another", "release": "shop@1"}, 7)
    form = {"csrf_token": csrf_token(admin_client, "/admin/issues/1"), "action": "resolve_next"}
    page = admin_client.post("/admin/issues/1/status", data=form, follow_redirects=True).text
    assert "The issue is resolved in the next release." in page
    assert "resolved in the next release; older ones may still have it" in page
    assert IN_NEXT_RELEASE in admin_client.get("/admin/issues/1?tab=history").text
    form["ids"] = "2"
    page = admin_client.post("/admin/issues/change", data=form, follow_redirects=True).text
    assert "Resolved 1 issue in the next release." in page
    insert(app, {"message": "a third", "release": "shop@2"}, 7)
    assert [issue(store, number).resolved_in for number in (1, 2)] == ["shop@2", "shop@2"]
    assert "resolved in <a" in admin_client.get("/admin/issues/1").text


# ---- versions -----------------------------------------------------------------------------------


def test_hotfix_of_an_old_branch_and_an_old_client_do_not_bring_an_issue_back(
    app: Flask, store: Store
) -> None:
    happen(app, "nav@10.18.6")
    insert(app, {"message": "another", "release": "nav@10.24.0"})
    assert resolve(store, version="nav@10.24.0") == [1]
    for older in ("nav@10.18.7", "nav@2.1.0", "nav@10.24.0-rc.1"):
        happen(app, older)
        assert issue(store).status == "resolved"
    happen(app, "nav@10.24.1")
    assert issue(store).regressed


@pytest.mark.parametrize("comes_back", ["nav@10.24.0", "nav@10.25.0", "nav@11.0.0-beta.1"])
def test_same_or_newer_version_brings_an_issue_back_whenever_it_became_known(
    app: Flask, store: Store, comes_back: str
) -> None:
    happen(app, "nav@10.18.6")
    insert(app, {"message": "another", "release": "nav@10.25.0"})
    insert(app, {"message": "another", "release": "nav@11.0.0-beta.1"})
    insert(app, {"message": "another", "release": "nav@10.24.0"})
    resolve(store, version="nav@10.24.0")
    happen(app, comes_back)
    assert issue(store).regressed


def test_next_release_is_the_first_that_is_newer_than_all_of_its_package(
    app: Flask, store: Store
) -> None:
    for release in ("ios@10.18.6", "ios@10.24.0", "android@3.0.0"):
        happen(app, release)
    happen(app, "ios@10.24.0")
    resolve(store, in_next=True)
    for release in ("ios@10.18.7", "android@3.1.0"):  # a hotfix; another program's
        insert(app, {"message": "another", "release": release})
        assert issue(store).resolved_in is None
    happen(app, "ios@10.18.7")
    assert issue(store).status == "resolved"
    insert(app, {"message": "another", "release": "ios@10.25.0"})
    assert issue(store).resolved_in == "ios@10.25.0"
    for release in ("ios@10.24.1", "ios@10.18.8"):
        happen(app, release)
        assert issue(store).status == "resolved"
    happen(app, "ios@10.25.0")
    assert issue(store).regressed


def test_releases_named_by_hashes_go_by_when_they_became_known(app: Flask, store: Store) -> None:
    for release in ("shop@9f1c2d3", "shop@0a1b2c3"):
        happen(app, release)
    resolve(store, version="shop@0a1b2c3")
    happen(app, "shop@9f1c2d3")
    assert issue(store).status == "resolved"
    happen(app, "shop@1111111")
    assert issue(store).regressed
