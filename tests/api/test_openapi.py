"""The OpenAPI document says what the API does, and the API does what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from sqlalchemy import select

from app.api import bp, doors
from app.events.tables import events
from app.intake.store_bound import ShareExceeded
from app.issues.rulebook import add_rule
from app.store import StoreFull
from tests.admin.hostile import insert
from tests.conftest import API_TOKEN, parts_of

pytestmark = pytest.mark.one_database

CHECKS = (
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
)


@schemathesis.serializer("application/x-ndjson")
def as_lines(ctx: object, value: str) -> bytes:
    return value.encode(errors="replace")


HEADERS = {"Authorization": f"Bearer {API_TOKEN}"}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(API_TOKEN=API_TOKEN)


@pytest.fixture
def schema(app: Flask) -> schemathesis.BaseSchema:
    whole = schemathesis.openapi.from_wsgi("/openapi.json", app, headers=HEADERS)
    # The two that fail because they are asked to have tests of their own.
    # The doors are fuzzed in tests/ingest and tests/protocol; MCP has tests in tests/mcp.
    return whole.exclude(path=["/test-error", "/sentry-debug", doors.MCP, *doors.paths()])


def test_every_route_of_the_api_is_described(app: Flask, client: FlaskClient) -> None:
    described = set(client.get("/openapi.json").json["paths"])
    routes = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith(f"{bp.name}.")
    }
    assert routes - described == {"/openapi.json", "/docs"}
    assert described - routes == {*doors.paths(), doors.MCP}


@pytest.mark.parametrize("path", sorted(doors.paths()))
def test_doors_name_what_a_used_up_quota_and_a_full_store_answer(
    client: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = client.get("/openapi.json").json["paths"][path]["post"]["responses"]
    url = path.replace("{project_id}", "1").replace("{slug}", "nightly")
    url = url.replace("{key}", own_key(client))
    given = set()
    for error in (ShareExceeded("beyond its share"), StoreFull("full")):

        def refuse(*args: object, error: Exception = error, **options: object) -> None:
            raise error

        monkeypatch.setattr("app.intake.Intake.accept", refuse)
        report = {"csp-report": {"effective-directive": "img-src", "blocked-uri": "inline"}}
        bodies = {
            "store": {"message": "x"},
            "security": report,
            "csp-report": report,
            "nel": [{"type": "network-error"}],
            "cron/{slug}/{key}": {"status": "ok"},
        }
        body = next((body for end, body in bodies.items() if path.endswith(f"/{end}/")), None)
        text = b'{}\n{"type":"event"}\n{"message":"x"}\n'
        text = b"MDMP".ljust(32, b"\0") if "minidump" in path else text
        key = {"X-Sentry-Auth": f"Sentry sentry_key={own_key(client)}"}
        if body:
            answer = client.post(url, json=body, headers=key)
        else:
            answer = client.post(url, data=text, headers=key)
        given.add(answer.status_code)
        assert set(answer.json) == set(
            answers[str(answer.status_code)]["content"]["application/json"]["schema"]["properties"]
        )
    assert given == {429, 503}


def own_key(client: FlaskClient) -> str:
    """Return the public key of project 1."""
    keys = client.get("/api/projects/1", headers=HEADERS).json["keys"]
    return str(keys[0])


def test_document_names_the_scopes_and_no_secret(app: Flask, client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert "`diagnostics`" in document["paths"]["/test-error"]["post"]["description"]
    assert parts_of(app).config.ADMIN_PASSWORD not in client.get("/openapi.json").text


def test_answers_are_as_described(schema: schemathesis.BaseSchema) -> None:
    for operation in schema.get_all_operations():

        @given(case=operation.ok().as_strategy())
        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
        def conforms(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS, headers=HEADERS)

        conforms()


def test_answers_about_what_is_there_are_as_described(
    app: Flask, schema: schemathesis.BaseSchema
) -> None:
    for operation in schema.include(path_regex="{").get_all_operations():
        _answers_as_described(operation.ok(), _fill(app))


def _answers_as_described(operation: schemathesis.APIOperation, there: dict[str, Any]) -> None:
    @given(case=operation.as_strategy())
    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    def conforms(case: schemathesis.Case) -> None:
        given = case.path_parameters
        case.path_parameters = {name: there.get(name, value) for name, value in given.items()}
        # What some client sent has no shape that a document could tell.
        case.query.pop("raw", None)
        case.call_and_validate(checks=CHECKS, headers=HEADERS)

    conforms()


def _fill(app: Flask) -> dict[str, Any]:
    """Store something of everything that a path can name, and return how it is named."""
    event_id = insert(app, {"message": "it is there", "tags": {"shop": "books"}})
    with parts_of(app).store.write() as conn:
        rule = add_rule(conn, kind="ignore", text="level:debug")
        row = conn.execute(select(events).where(events.c.event_id == event_id)).one()
    return {
        "event_id": event_id,
        "issue_id": row.issue_id,
        "envelope_id": row.envelope_id,
        "rule_id": rule.id,
        "project_id": row.project_id,
        "number": 0,
    }


def test_reference_is_grouped_by_subject_and_folded(client: FlaskClient) -> None:
    page = client.get("/docs").text
    tags = {
        tag
        for operations in client.get("/openapi.json").json["paths"].values()
        for operation in operations.values()
        for tag in operation["tags"]
    }
    for tag in tags:
        assert page.count(f'href="#tag-{tag}"') == page.count(f'id="tag-{tag}"') == 1
    assert "<details" in page and not re.search(r"<details[^>]* open", page)


def test_reference_is_searched_without_scripts(client: FlaskClient) -> None:
    found = client.get("/docs?q=Delivery+replay").text
    assert "<code>/api/deliveries/{envelope_id}/replay</code>" in found
    assert "<code>/api/issues</code>" not in found and re.search(r"<details[^>]* open", found)
    nothing = client.get("/docs", query_string={"q": "<b>no such route"}).text
    assert "No route matches <code>&lt;b&gt;no such route</code>" in nothing
