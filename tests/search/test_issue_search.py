"""Queries for issues through the API: what each term finds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.accounts.tables import users
from app.issues.tables import issues
from app.projects import projects
from app.search.indexing import catch_up
from app.store import utc_now
from tests.api.test_triage import send
from tests.conftest import parts_of


def change(app: Flask, title: str, **values: Any) -> None:
    with parts_of(app).store.write() as conn:
        conn.execute(update(issues).where(issues.c.title == title).values(**values))


def found(client: FlaskClient, query: str, **more: Any) -> str:
    answer = client.get("/api/issues", query_string={"query": query, "limit": 9, **more})
    assert answer.status_code == 200, answer.text
    assert answer.json["total"] == len(answer.json["issues"])
    return "".join(sorted(issue["title"] for issue in answer.json["issues"]))


@pytest.fixture
def filled(app: Flask, client: FlaskClient) -> FlaskClient:
    with parts_of(app).store.write() as conn:
        conn.execute(projects.insert().values(id=2, name="The Shop", created_at=utc_now()))
    send(app, "a", level="fatal", environment="prod", release="shop@1", tags={"region": "eu"})
    send(app, "b", level="info", environment="test", release="shop@2", tags={"region": "us-1"})
    send(app, "c", project_id=2, tags={"message": "gold", "odd key": "x"})
    catch_up(parts_of(app).store)
    with parts_of(app).store.write() as conn:
        conn.execute(users.insert().values(username="ann", session_key="x", created_at=utc_now()))
    old = utc_now() - timedelta(days=40)
    catch_up(parts_of(app).store)
    change(app, "a", times_seen=150, users=12, first_seen=old)
    change(app, "b", status="resolved", first_seen=old, last_seen=utc_now() - timedelta(days=3))
    change(app, "c", regressed=True, assigned_to="ann")
    return client


TERMS = [
    ("", "abc"),
    ("is:unresolved", "ac"),
    ("!is:unresolved", "b"),
    ("is:[resolved,regressed]", "bc"),
    ("is:regressed", "c"),
    ("is:assigned", "c"),
    ("is:unassigned is:unresolved", "a"),
    ("is:resolved is:unresolved", ""),
    ("is:ignored", ""),
    ("assigned:ann", "c"),
    ("!assigned:ann", "ab"),
    ("assigned:an*", "c"),
    ("assigned:none", "ab"),
    ('assigned:"none"', ""),
    ("timesSeen:>100", "a"),
    ("timesSeen:<=150", "abc"),
    ("!timesSeen:150", "bc"),
    ("users:>=12", "a"),
    ("firstSeen:-24h", "c"),
    ("firstSeen:+7d", "ab"),
    ("firstSeen:>2001-01-01", "abc"),
    ("firstSeen:<2001-01-01", ""),
    ("lastSeen:+2d", "b"),
    ("level:fatal", "a"),
    ("!level:[fatal,info]", "c"),
    ("environment:prod", "a"),
    ("environment:[prod,test]", "ab"),
    ("release:shop@2", "b"),
    ("release:shop@*", "ab"),
    ("project:2", "c"),
    ('project:"the shop"', "c"),
    ("!project:2", "ab"),
    ("project:nothing", ""),
    ("region:eu", "a"),
    ("!region:eu", "bc"),
    ("region:us*", "b"),
    ("tags[message]:gold", "c"),
    ('tags[odd key]:"x"', "c"),
    ("has:region", "ab"),
    ("!has:region", "c"),
]


def test_term_finds_issues(filled: FlaskClient) -> None:
    for query, titles in TERMS:
        assert found(filled, query) == titles, query


def test_issue_that_is_new_was_first_seen_in_the_range(filled: FlaskClient) -> None:
    assert found(filled, "is:new", period="week") == "c"
    assert found(filled, "!is:new", period="week") == "ab"
    assert found(filled, "is:new", period="quarter") == "abc"


def test_range_leaves_out_issues_that_were_not_seen_in_it(filled: FlaskClient) -> None:
    assert found(filled, "", period="day") == "ac"
    assert found(filled, "", period="day", sort="times_seen") == "ac"
    assert found(filled, "", period="day", project_id=1) == "a"
    assert found(filled, "", end="2001-01-01") == ""


def test_nobody_is_me_for_a_token(client: FlaskClient) -> None:
    answer = client.get("/api/issues", query_string={"query": "!assigned:[me,none]"})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "query"


def test_event_id_finds_its_issue(app: Flask, client: FlaskClient) -> None:
    send(app, "one", event_id="8fb7f2b3c4d54e6f8a9b0c1d2e3f4a5b")
    send(app, "two")
    assert found(client, "8fb7f2b3-c4d5-4e6f-8a9b-0c1d2e3f4a5b") == "one"


def test_user_with_few_issues_is_found_in_the_range_only(filled: FlaskClient, app: Flask) -> None:
    change(app, "b", assigned_to="ann", status="unresolved")
    assert found(filled, "assigned:ann") == "bc"
    assert found(filled, "assigned:ann", period="day") == "c"


def test_one_event_has_to_fulfil_all_terms(app: Flask, client: FlaskClient) -> None:
    send(app, "one", tags={"region": "eu"}, environment="prod")
    send(app, "one", tags={"region": "us"}, environment="test")
    catch_up(parts_of(app).store)
    assert found(client, "region:eu environment:prod") == "one"
    assert found(client, "region:eu environment:test") == ""
    assert found(client, "region:eu", environment="test") == ""
    assert found(client, "!region:eu") == "one"


def test_parameters_and_terms_have_to_be_fulfilled_together(filled: FlaskClient) -> None:
    assert found(filled, "level:fatal", level="fatal") == "a"
    assert found(filled, "level:fatal", level="info") == ""
    assert found(filled, "is:unresolved", status="resolved") == ""


def test_wrong_query_is_refused_with_its_place(client: FlaskClient) -> None:
    for query, message in [
        ("level:error is:unresolve", "there is no is:unresolve. Did you mean is:unresolved? at 16"),
        ("x" * 1001, "String should have at most 1000 characters"),
    ]:
        answer = client.get("/api/issues", query_string={"query": query})
        assert answer.status_code == 422
        assert answer.json["errors"] == [{"field": "query", "message": message}]


def test_many_issues_are_changed_by_a_query(filled: FlaskClient) -> None:
    where = {"query": "is:unresolved timesSeen:>100"}
    answer = filled.patch("/api/issues", json={"where": where, "status": "ignored"})
    assert len(answer.json["changed"]) == 1
    assert found(filled, "is:ignored") == "a"
    wrong = filled.patch("/api/issues", json={"where": {"query": "is:x"}, "status": "ignored"})
    assert wrong.json["errors"][0]["field"] == "where.query"
