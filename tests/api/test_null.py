"""What null means in a PATCH: it clears the field, or is refused, everywhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import sentry
from app.accounts.tables import users
from app.memory.content import id_of
from app.memory.scope import Scope
from app.store import utc_now
from tests.conftest import parts_of
from tests.feedback_envelopes import feedback_item, send

pytestmark = pytest.mark.one_database


class Sample(NamedTuple):
    """A thing that can be patched.

    :param path: of the thing that :func:`make` makes.
    :param filled: a value for each field.
    :param always: what has to be in every body.
    :param shown: the field of the answer that shows a field, where it is called otherwise.
    :param beside: by field, what its body has instead of a value of ``always``.
    """

    path: str
    filled: dict[str, Any]
    always: dict[str, Any] = {}
    shown: dict[str, str] = {}
    beside: dict[str, dict[str, Any]] = {}

    def body(self, name: str, value: Any) -> dict[str, Any]:
        return {**self.always, **self.beside.get(name, {}), name: value}


ISSUE = {
    "status": "resolved",
    "statusDetails": {"inNextRelease": True},
    "resolved_in": {"next_release": True},
    "ignore_until": {"events": 5},
    "assigned_to": "ada",
    "tracker_url": "https://tracker.example.org/1",
    "comment": "a missing price",
    "remember_fix": True,
}
IGNORED = {"ignore_until": {"status": "ignored"}}
FILTERS = {"level": "error", "environment": "live", "release": "1", "type": "T", "message": "m"}
SAMPLES = {
    "/api/issues/{issue_id}": Sample(
        "/api/issues/1",
        ISSUE,
        {"status": "resolved"},
        {
            "statusDetails": "resolved_in_next_release",
            "resolved_in": "resolved_in_next_release",
        },
        IGNORED,
    ),
    "/api/issues": Sample(
        "/api/issues",
        ISSUE,
        {"status": "resolved", "ids": [1]},
        beside=IGNORED,
    ),
    "/api/projects/{project_id}": Sample(
        "/api/projects/2",
        {
            "name": "Shop",
            "upstream_dsn": "https://key@example.org/1",
            "upstream_api_token": "a-token",
            "upstream_org": "acme",
            "upstream_api_url": "https://api.example.org",
            "events_per_minute": 5,
            "retention_days": 5,
            "source_url": "https://git.example.org/{file}",
        },
        shown={"upstream_dsn": "upstream_host", "upstream_api_token": "upstream_api"},
    ),
    "/memories/{memory_id}": Sample(
        f"/memories/{id_of(Scope('ada'), 'tea')}?user_id=ada",
        {
            "content": "green tea",
            "kind": "taste",
            "tags": ["tea"],
            "metadata": {"cups": 2},
            "expires_at": "2999-01-01T00:00:00Z",
        },
    ),
    "/api/feedback/{feedback_id}": Sample("/api/feedback/1", {"state": "done"}),
    "/api/rules/{rule_id}": Sample(
        "/api/rules/1",
        {
            "kind": "ignore",
            "text": "level:debug",
            "name": "Debug",
            "project_id": 1,
            "enabled": True,
            "position": 1,
        },
    ),
    "/api/alerts/channels/{channel_id}": Sample(
        "/api/alerts/channels/1",
        {
            "name": "Ops",
            "url": "https://1.1.1.1/hook",
            "secret": "a-secret-of-the-hook",
            "template": '{"text": "{{title}}"}',
            "enabled": True,
        },
    ),
    "/api/alerts/rules/{rule_id}": Sample(
        "/api/alerts/rules/1",
        {
            "name": "Many",
            "enabled": True,
            "threshold": 5,
            "minimum": 1,
            "window_minutes": 5,
            "cooldown_minutes": 5,
            "filters": FILTERS,
            "channel_ids": [1],
        },
    ),
    "/api/monitors/{slug}": Sample(
        "/api/monitors/nightly?project_id=1",
        {
            "name": "Nightly report",
            "schedule": {"type": "crontab", "value": "0 2 * * *"},
            "timezone": "Europe/Berlin",
            "checkin_margin": 5,
            "max_runtime": 60,
            "failure_issue_threshold": 2,
            "recovery_threshold": 2,
            "paused": True,
            "managed_by": "sdk",
        },
    ),
}
# Which issues, not what becomes of them.
CHOOSING = {"/api/issues": {"ids", "where"}}
# Fields that only channels of another kind have.
OF_OTHERS = {"/api/alerts/channels/{channel_id}": {"to"}}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    return client.get("/openapi.json").json


def make(client: FlaskClient) -> None:
    event_id = sentry.capture_message("one")
    send(client.application, feedback_item("it broke", event_id))
    client.post("/api/projects", json={"name": "Shop", "id": 2})
    client.post("/api/rules", json={"kind": "ignore", "text": "level:debug"})
    client.post("/memories", json={"content": "tea", "user_id": "ada"})
    channel = {"kind": "template", "name": "Ops", "url": "https://1.1.1.1/"}
    client.post("/api/alerts/channels", json=channel)
    client.get("/api/alerts/rules")
    client.post("/api/monitors", json={"project_id": 1, "slug": "nightly"})


def patched_schemas(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    schemas = document["components"]["schemas"]
    found = {}
    for path, methods in document["paths"].items():
        if "patch" in methods:
            content = methods["patch"]["requestBody"]["content"]["application/json"]
            found[path] = schemas[content["schema"]["$ref"].rpartition("/")[2]]["properties"]
    return found


def takes_null(schema: dict[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", [])


def is_clear(value: Any) -> bool:
    return not value or (isinstance(value, dict) and not any(value.values()))


def test_every_patch_has_a_sample_of_each_field(document: dict[str, Any]) -> None:
    found = patched_schemas(document)
    assert found.keys() == SAMPLES.keys()
    for path, fields in found.items():
        beside = CHOOSING.get(path, set()) | OF_OTHERS.get(path, set())
        assert set(fields) - beside == set(SAMPLES[path].filled), path
        assert "`null` clears a field" in document["paths"][path]["patch"]["description"]


def test_null_clears_the_field_or_is_refused_for_it(
    app: Flask, client: FlaskClient, document: dict[str, Any]
) -> None:
    make(client)
    with parts_of(app).store.write() as conn:
        row = {"username": "ada", "session_key": "k", "created_at": utc_now()}
        conn.execute(users.insert().values(row))
    for path, fields in patched_schemas(document).items():
        sample = SAMPLES[path]
        for name in set(fields) - CHOOSING.get(path, set()):
            body = sample.body(name, None)
            if not takes_null(fields[name]):
                refused = client.patch(sample.path, json=body)
                assert refused.status_code == 422, (path, name)
                wrong = {"field": name, "message": "this field cannot be cleared"}
                assert refused.json["errors"] == [wrong]
                continue
            filled = client.patch(sample.path, json=sample.body(name, sample.filled[name]))
            assert filled.status_code == 200, (path, name, filled.text)
            cleared = client.patch(sample.path, json=body)
            assert cleared.status_code == 200, (path, name, cleared.text)
            if path in CHOOSING:
                assert cleared.json["changed"] == [1]
                continue
            shown = sample.shown.get(name, name)
            assert not is_clear(filled.json[shown]), (path, name)
            assert is_clear(cleared.json[shown]), (path, name)
