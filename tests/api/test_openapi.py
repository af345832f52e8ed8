"""The OpenAPI document says what the API does, and the API does what it says."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings

from app.api import bp
from tests.conftest import API_TOKEN, parts_of

CHECKS = (
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
)


HEADERS = {"Authorization": f"Bearer {API_TOKEN}"}


@pytest.fixture
def schema(make_app: Callable[..., Flask]) -> schemathesis.BaseSchema:
    app = make_app(API_TOKEN=API_TOKEN)
    whole = schemathesis.openapi.from_wsgi("/openapi.json", app, headers=HEADERS)
    # The two that fail because they are asked to have tests of their own.
    return whole.exclude(path=["/test-error", "/sentry-debug"])


def test_every_route_of_the_api_is_described(app: Flask, client: FlaskClient) -> None:
    described = set(client.get("/openapi.json").json["paths"])
    routes = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith(f"{bp.name}.")
    }
    assert routes - described == {"/openapi.json", "/docs"}
    assert described <= routes


def test_document_names_the_scopes_and_no_secret(app: Flask, client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert "`diagnostics`" in document["paths"]["/test-error"]["post"]["description"]
    assert parts_of(app).config.ADMIN_PASSWORD not in client.get("/openapi.json").text


def test_answers_are_as_described(schema: schemathesis.BaseSchema) -> None:
    for operation in schema.get_all_operations():

        @given(case=operation.ok().as_strategy())
        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
        def conforms(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS, headers=HEADERS)

        conforms()
