"""Tokens of some projects, on every route of the API: they get nothing of another project.

``BODIES`` has a body for each route that takes one; a route that is new has to be added, else this
fails.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select

from app.accounts.tokens import TokenError
from app.alerts.tables import alert_rules, notices
from app.events.tables import envelopes, events
from app.issues.tables import feedback, grouping_rules, issues
from app.monitors.tables import monitors
from app.projects import create_project
from app.projects.tables import projects
from app.protocol.envelope import Envelope, Item
from app.search.indexing import catch_up
from app.stats.tables import releases
from app.store import utc_now
from app.web import access
from tests.conftest import API_TOKEN, parts_of
from tests.feedback_envelopes import feedback_item

pytestmark = pytest.mark.one_database

OWN, FOREIGN = 2, 3
# Routes that a token of some projects cannot call, whatever it asks for: they are about all.
FOR_ALL = {
    "POST /api/projects",
    "GET /api/alerts/channels",
    "POST /api/alerts/channels",
    "POST /api/alerts/channels/preview",
    "PATCH /api/alerts/channels/<int:channel_id>",
    "DELETE /api/alerts/channels/<int:channel_id>",
    "POST /api/alerts/channels/<int:channel_id>/test",
    "GET /api/deliveries/overview",
    "GET /api/deliveries/actions",
    "GET /api/erasures",
    "POST /api/erasures",
    "GET /api/erasures/<int:run_id>",
    "GET /system/status",
    "GET /metrics",
}
OPEN = {"GET /openapi.json", "GET /docs", "GET /api/projects"}


class Objects(NamedTuple):
    """What a project has, by the names of the parameters of paths."""

    project_id: int
    issue_id: int
    event_id: str
    envelope_id: int
    feedback_id: int
    release_id: int
    rule_id: int
    alert_rule_id: int
    notice_id: int
    public_key: str
    slug: str


def bodies(of: Objects) -> dict[str, Any]:
    """Return a body for each route that takes one, about the objects of a project."""
    rule = {"project_id": of.project_id, "kind": "ignore", "text": "level:debug"}
    status = {"status": "resolved"}
    return {
        "PATCH /api/issues/<int:issue_id>": status,
        "DELETE /api/issues/<int:issue_id>": None,
        "PATCH /api/issues": [
            {"ids": [of.issue_id], **status},
            {"where": {"project_id": of.project_id}, **status},
        ],
        "DELETE /api/issues": [{"ids": [of.issue_id]}, {"where": {"project_id": of.project_id}}],
        "POST /api/issues/merge": {"ids": [of.issue_id, of.issue_id + 1000]},
        "POST /api/issues/<int:issue_id>/unmerge": {"hashes": ["x"]},
        "POST /api/issues/<int:issue_id>/comments": {"text": "seen"},
        "PATCH /api/feedback/<int:feedback_id>": {"state": "done"},
        "POST /api/releases": {"version": "shop@9", "project_id": of.project_id},
        "POST /api/rules": rule,
        "PATCH /api/rules/<int:rule_id>": {"enabled": False},
        "DELETE /api/rules/<int:rule_id>": None,
        "POST /api/rules/try": [rule, {**rule, "project_id": OWN, "rule_id": of.rule_id}],
        "POST /api/alerts/rules": {"project_id": of.project_id, "kind": "new_issue"},
        "PATCH /api/alerts/rules/<int:rule_id>": {"enabled": False},
        "POST /api/alerts/rules/<int:rule_id>/set-apart": {"project_id": of.project_id},
        "DELETE /api/alerts/rules/<int:rule_id>": None,
        "POST /api/alerts/<int:notice_id>/send": {},
        "POST /api/deliveries/replay": [
            {"ids": [of.envelope_id]},
            {"state": "local", "project_id": of.project_id},
        ],
        "POST /api/deliveries/discard": [
            {"ids": [of.envelope_id]},
            {"state": "local", "project_id": of.project_id},
        ],
        "POST /api/deliveries/<int:envelope_id>/replay": {},
        "POST /api/deliveries/<int:envelope_id>/discard": {},
        "POST /api/deliveries/pause": {"project_id": of.project_id},
        "POST /api/deliveries/resume": {"project_id": of.project_id},
        "PATCH /api/projects/<int:project_id>": {"name": "Taken over"},
        "POST /api/projects/<int:project_id>/archive": None,
        "POST /api/projects/<int:project_id>/restore": None,
        "POST /api/projects/<int:project_id>/keys": {},
        "DELETE /api/projects/<int:project_id>/keys/<public_key>": None,
        "DELETE /api/projects/<int:project_id>": None,
        "POST /api/monitors": {"project_id": of.project_id, "slug": "nightly"},
        "PATCH /api/monitors/<slug>": {"name": "Taken over"},
        "DELETE /api/monitors/<slug>": None,
        "DELETE /api/monitors/<slug>/environments/<path:environment>": None,
    }


@pytest.fixture
def own(app: Flask) -> Objects:
    return made(app, OWN, "own-marker")


@pytest.fixture
def foreign(app: Flask, own: Objects) -> Objects:
    return made(app, FOREIGN, "foreign-marker")


@pytest.fixture
def client(app: Flask, own: Objects, foreign: Objects) -> FlaskClient:
    """A client with a token of the own project, elsewhere than on this machine."""
    catch_up(parts_of(app).store)
    token = parts_of(app).accounts.create_token("limited", ("read", "write"), projects=[OWN])
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def made(app: Flask, project_id: int, marker: str) -> Objects:
    """Make a project with one of everything, whose texts have a marker."""
    parts, event_id = parts_of(app), uuid.uuid4().hex
    create_project(parts.store, marker, project_id)
    event = {"message": marker, "event_id": event_id, "release": f"{marker}@1"}
    parts.intake.accept(
        Envelope({"event_id": event_id}, [Item({"type": "event"}, event)]),
        project_id=project_id,
        timeout_s=10,
    )
    said = Envelope({}, [feedback_item(marker, event_id)])
    parts.intake.accept(said, project_id=project_id, timeout_s=10)
    client = app.test_client()
    rule = {"project_id": project_id, "kind": "ignore", "text": f"message:{marker}-x"}
    alert = {"project_id": project_id, "kind": "new_issue", "name": marker}
    slug = f"job-{project_id}"
    monitor = {"project_id": project_id, "slug": slug, "name": marker}
    client.post("/api/monitors", json=monitor)
    made_rule = client.post("/api/rules", json=rule).json
    made_alert = client.post("/api/alerts/rules", json=alert).json
    notice = {"uid": uuid.uuid4().hex, "project_id": project_id, "kind": "new_issue"}
    notice |= {"at": utc_now(), "title": marker, "text": marker}
    with parts.store.write() as conn:
        made_notice = insert(notices).values(notice).returning(notices.c.id)
        notice_id = conn.execute(made_notice).scalar_one()

        def first(table: Any) -> int:
            query = select(table.c.id).where(table.c.project_id == project_id)
            return int(conn.scalar(query.order_by(table.c.id)))

        envelope_id, feedback_id, release_id = map(first, (envelopes, feedback, releases))
        issue_id = first(issues)
    keys = client.get(f"/api/projects/{project_id}").json["keys"]
    key = keys[0]["public_key"] if isinstance(keys[0], dict) else keys[0]
    return Objects(
        project_id,
        issue_id,
        event_id,
        envelope_id,
        feedback_id,
        release_id,
        made_rule["id"],
        made_alert["id"],
        notice_id,
        key,
        slug,
    )


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route for tokens with the scopes read and write."""
    with app.app_context():
        for rule in app.url_map.iter_rules():
            stated = access.rule_of(rule.endpoint)
            if stated and stated.scope in ("read", "write"):
                for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                    yield method, rule.rule


def path_of(rule: str, of: Objects) -> str:
    values = {**of._asdict(), "number": 0, "channel_id": 1, "run_id": 1, "environment": "live"}
    if rule.startswith("/api/alerts/"):
        values["rule_id"] = of.alert_rule_id
    for name, value in values.items():
        rule = re.sub(rf"<((int|path):)?{name}>", str(value), rule)
    return rule


def bodies_of(method: str, rule: str, of: Objects) -> list[Any]:
    body = bodies(of).get(f"{method} {rule}")
    return body if isinstance(body, list) else [body]


def rows(app: Flask, project_id: int) -> str:
    """Return what a project has, to see whether anything changed."""
    tables = (issues, events, envelopes, feedback, releases, grouping_rules, alert_rules, notices)
    tables += (monitors,)
    with parts_of(app).store.read() as conn:
        found = [
            sorted(map(str, conn.execute(select(table).where(table.c.project_id == project_id))))
            for table in tables
        ]
        found.append(list(map(str, conn.execute(select(projects)))))
    return json.dumps(found)


def test_every_route_is_classified(app: Flask, own: Objects) -> None:
    changing = {f"{method} {rule}" for method, rule in routes(app) if method != "GET"}
    assert changing - FOR_ALL == set(bodies(own))


def test_token_of_a_project_gets_nothing_of_another(
    app: Flask, client: FlaskClient, foreign: Objects
) -> None:
    before, wrong = rows(app, FOREIGN), []
    for method, rule in routes(app):
        if f"{method} {rule}" in OPEN:
            continue
        path = path_of(rule, foreign)
        for body in bodies_of(method, rule, foreign):
            for query in ("", f"?project_id={FOREIGN}", f"?project_id={OWN}&project_id={FOREIGN}"):
                if method != "GET" and query and "<slug>" not in rule:
                    continue
                answer = client.open(path + query, method=method, json=body, buffered=True)
                is_own = query.startswith(f"?project_id={OWN}") and "<" not in rule
                right = (200, 403) if is_own else (403, 404, 422)
                if answer.status_code not in right or "foreign-marker" in answer.text:
                    wrong.append((method, path + query, answer.status_code))
    assert wrong == []
    assert rows(app, FOREIGN) == before


def test_filters_and_searches_find_nothing_of_another_project(
    client: FlaskClient, foreign: Objects
) -> None:
    asked = {
        "/api/issues": ["query=foreign-marker", f"query=project:{FOREIGN}", "status=all"],
        "/api/events": [
            f"issue_id={foreign.issue_id}",
            "query=foreign-marker",
            f"query=project:{FOREIGN}",
        ],
        "/api/deliveries": [f"event_id={foreign.event_id}"],
        "/api/feedback": [f"issue_id={foreign.issue_id}", f"event_id={foreign.event_id}"],
        "/api/alerts": [f"rule_id={foreign.alert_rule_id}", f"issue_id={foreign.issue_id}"],
    }
    for path, queries in asked.items():
        for query in queries:
            answer = client.get(f"{path}?project_id={OWN}&{query}")
            assert answer.status_code in (200, 422), (path, query, answer.text)
            shown = json.loads(answer.text)
            assert foreign.event_id not in answer.text and '"foreign-marker"' not in str(shown)


def test_token_of_a_project_reads_and_changes_its_own(
    app: Flask, client: FlaskClient, own: Objects
) -> None:
    wrong = []
    for method, rule in routes(app):
        name, path = f"{method} {rule}", path_of(rule, own)
        if name == "DELETE /api/projects/<int:project_id>" or method == "DELETE":
            continue
        for body in bodies_of(method, rule, own):
            is_list = method == "GET" and "<" not in rule
            query = f"?project_id={OWN}" if is_list or "<slug>" in rule else ""
            if name in OPEN:
                query = ""
            answer = client.open(path + query, method=method, json=body, buffered=True)
            is_refused = answer.status_code == 403
            if is_refused != (name in FOR_ALL) or answer.status_code >= 500:
                wrong.append((method, path, answer.status_code, answer.text))
    assert wrong == []
    assert [one["id"] for one in client.get("/api/projects").json["projects"]] == [OWN]
    assert client.delete(f"/api/issues/{own.issue_id}").status_code == 204


def test_token_of_a_project_says_which_project_it_is_for(client: FlaskClient) -> None:
    answer = client.get("/api/issues")
    assert answer.status_code == 403
    assert answer.json["detail"] == "the token is for the project 2 only: say project_id"
    answer = client.get("/api/issues?project_id=1")
    assert answer.status_code == 403
    assert answer.json["detail"] == "the token is for the project 2 only, not for the named one"


def test_number_with_more_digits_is_another_project(client: FlaskClient) -> None:
    for number in ("00000000025", "0000000002003"):  # They begin with the ten digits of project 2.
        answer = client.get(f"/api/issues?project_id={number}")
        assert answer.status_code == 403, number


def test_token_that_expired_is_refused(app: Flask) -> None:
    accounts = parts_of(app).accounts
    with pytest.raises(TokenError, match="in the future"):
        accounts.create_token("late", ("read",), expires_at=utc_now())
    token = accounts.create_token("soon", ("read",), expires_at=utc_now() + timedelta(days=1))
    assert accounts.token_scopes(token) == {"read"}
    with parts_of(app).store.write() as conn:
        conn.exec_driver_sql("UPDATE api_tokens SET expires_at = '2020-01-01 00:00:00.000000'")
    assert accounts.token_scopes(token) is None
    assert accounts.token_scopes(API_TOKEN) is None


@pytest.mark.parametrize("scope", ["diagnostics", "memories"])
def test_token_of_some_projects_has_no_scope_that_is_about_all(app: Flask, scope: str) -> None:
    with pytest.raises(TokenError, match="has only the scopes read, write"):
        parts_of(app).accounts.create_token("wide", ("read", scope), projects=[2])
