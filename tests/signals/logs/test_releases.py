"""Releases that lines of logs name."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.search.errors import QueryError
from app.search.indexing import catch_up as make_searchable
from app.stats.releases import MAX_UNPROVEN
from app.stats.tables import releases
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.signals.logs.steps import entry, found, send


def lines_of(*versions: str) -> list[dict[str, object]]:
    return [entry(f"of {one}", attributes={"sentry.release": one}) for one in versions]


def test_latest_release_of_lines_is_the_newest_that_a_line_named(app: Flask) -> None:
    parts = parts_of(app)
    with pytest.raises(QueryError, match="no release is known yet"):
        found(parts, "release:latest")
    send(parts, *lines_of("shop@1", "shop@2"))
    send(parts, *lines_of("shop@1"))
    insert(app, {"message": "declined", "release": "shop@3"})
    assert found(parts, "release:latest") == ["of shop@2"]
    assert found(parts, "!release:latest") == ["of shop@1", "of shop@1"]
    send(parts, *lines_of("shop@3"))
    assert found(parts, "release:latest") == ["of shop@3"]


@pytest.mark.one_database
def test_release_that_only_lines_named_is_not_the_latest_of_events(
    app: Flask, client: FlaskClient
) -> None:
    insert(app, {"message": "declined", "release": "shop@1"})
    send(parts_of(app), *lines_of("shop@2"))
    assert [one["version"] for one in client.get("/api/releases").json["releases"]] == [
        "shop@2",
        "shop@1",
    ]
    make_searchable(parts_of(app).store)
    found = client.get("/api/events?query=release:latest&period=all").json["events"]
    assert [one["release"] for one in found] == ["shop@1"]


def test_invented_releases_are_bounded_and_lose_no_line(app: Flask) -> None:
    parts = parts_of(app)
    send(parts, *lines_of(*(f"shop@{n}" for n in range(MAX_UNPROVEN + 20))))
    with parts.store.read() as conn:
        assert conn.scalar(select(func.count()).select_from(releases)) == MAX_UNPROVEN
    assert found(parts, f"release:shop@{MAX_UNPROVEN + 19}") == [f"of shop@{MAX_UNPROVEN + 19}"]


@pytest.mark.one_database
def test_next_release_may_be_known_by_its_lines_first(app: Flask, client: FlaskClient) -> None:
    event_id = insert(app, {"message": "declined", "release": "shop@1"})
    issue = f"/api/issues/{client.get(f'/api/events/{event_id}').json['issue_id']}"
    change = {"status": "resolved", "resolved_in": {"next_release": True}}
    assert client.patch(issue, json=change).status_code == 200
    send(parts_of(app), *lines_of("shop@2"))
    assert client.get(issue).json["resolved_in"] == "shop@2"
