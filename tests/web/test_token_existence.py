"""To a token of some projects, what belongs to another project does not exist.

Each question is asked twice: about something of another project, and about what nobody has. The
answers must be the same, or they tell which names and ids there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.projects import create_project
from app.store import utc_now
from tests.conftest import parts_of
from tests.mcp.steps import bearer, call
from tests.signals.logs.steps import entry, found, send
from tests.web.test_token_projects import (  # noqa: F401 -- `client` asks for `own` and `foreign`.
    OPEN,
    OWN,
    Objects,
    bodies_of,
    client,
    foreign,
    made,
    own,
    path_of,
    routes,
)

pytestmark = pytest.mark.one_database

NOBODY = 9
# A name, its beginning, a release and an id: once of the other project and once of nobody. Both are
# equally long, since an error says where in a query it is.
NAMES = {
    "foreign-marker": "nowhere-marker",
    "for*": "now*",
    "foreign-marker@1": "nowhere-marker@1",
    "3": "9",
}
TERMS = ("{}", "project:{}", "!project:{}", "project:[{},x]", "release:{}", "!release:{}")
TERMS += ("release:[latest,{}]", "assigned:{}", "environment:{}", "has:{}", "{}:x")


@pytest.fixture
def nobody() -> Objects:
    ids = dict.fromkeys(Objects._fields, 9**9) | {"project_id": NOBODY}
    return Objects(**{**ids, "event_id": "f" * 32, "public_key": "f" * 32, "slug": f"job-{NOBODY}"})


@pytest.fixture
def clock() -> Iterator[None]:
    with time_machine.travel(utc_now() + timedelta(minutes=1), tick=False):
        yield


@pytest.mark.usefixtures("clock")
def test_path_or_body_does_not_tell_what_another_project_has(
    app: Flask,
    client: FlaskClient,  # noqa: F811
    foreign: Objects,  # noqa: F811
    nobody: Objects,
) -> None:
    def answers(method: str, rule: str, of: Objects) -> list[Any]:
        path = path_of(rule, of)
        address = f"{path}?project_id={OWN}" if "<slug>" in rule else path
        return [
            shown(client.open(address, method=method, json=body, buffered=True), path, of.event_id)
            for body in bodies_of(method, rule, of)
        ]

    asked = [pair for pair in routes(app) if " ".join(pair) not in OPEN]
    told = [pair for pair in asked if answers(*pair, foreign) != answers(*pair, nobody)]
    assert len(asked) > 50
    assert told == []


@pytest.mark.usefixtures("clock")
def test_filter_or_query_does_not_tell_what_another_project_has(
    app: Flask,
    client: FlaskClient,  # noqa: F811
    foreign: Objects,  # noqa: F811
    nobody: Objects,
) -> None:
    send(parts_of(app), entry("own line"), project_id=OWN)
    asked = 0
    for path, field in filters(app):
        for theirs, nobodys in pairs(field, foreign, nobody):
            asked += 1
            given = {"project_id": OWN, field: theirs}
            answer = shown(client.get(path, query_string=given, buffered=True), theirs)
            given = {"project_id": OWN, field: nobodys}
            same = shown(client.get(path, query_string=given, buffered=True), nobodys)
            assert answer == same, (path, field, theirs)
    assert asked > 200


@pytest.mark.usefixtures("clock", "client")
def test_tool_does_not_tell_what_another_project_has(
    app: Flask,
    foreign: Objects,  # noqa: F811
    nobody: Objects,
) -> None:
    send(parts_of(app), entry("own line"), project_id=OWN)
    agent = bearer(app, projects=[OWN])
    for tool in ("search_logs", "search_events", "list_issues"):
        for theirs, nobodys in pairs("query", foreign, nobody):
            answer = call(app, agent, tool, query=theirs)
            same = call(app, agent, tool, query=nobodys)
            assert answer.is_error == same.is_error, (tool, theirs)
            assert without_fences(answer.text, theirs) == without_fences(same.text, nobodys)


def test_latest_release_is_that_of_the_project_that_is_searched(app: Flask) -> None:
    parts = parts_of(app)
    create_project(parts.store, "Without releases", NOBODY)
    send(parts, entry("no release"), project_id=NOBODY)
    token = parts.accounts.create_token("limited", ("read",), projects=[NOBODY])
    caller = app.test_client()
    caller.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    paths = [
        f"/api/{name}?project_id={NOBODY}&query={query}"
        for name in ("logs", "logs/export", "events", "issues")
        for query in ("release:latest", "!release:latest")
    ]
    before = [shown(caller.get(path, buffered=True)) for path in paths]
    made(app, 3, "foreign-marker")
    assert [shown(caller.get(path, buffered=True)) for path in paths] == before
    assert before[0][0] == 422 and "no release is known" in before[0][1]


def test_search_of_one_project_may_exclude_others(app: Flask, own: Objects) -> None:  # noqa: F811
    send(parts_of(app), entry("own line"), project_id=OWN)
    for query in ("!project:3", "!project:nowhere", "project:2", "project:own*"):
        assert found(parts_of(app), query, project_id=OWN) == ["own line"], query


def filters(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield path and field of every filter of a list."""
    for method, rule in routes(app):
        for name, view in app.view_functions.items():
            stated = next(app.url_map.iter_rules(name), None)
            if method != "GET" or "<" in rule or stated is None or stated.rule != rule:
                continue
            query = getattr(getattr(view, "operation", None), "query", None)
            fields = query.model_fields if query else {}
            if "project_id" in fields:
                yield from ((rule, field) for field in fields if field != "project_id")


def pairs(field: str, theirs: Objects, nobodys: Objects) -> Iterator[tuple[str, str]]:
    """Yield values of a field: of another project, and of nobody."""
    if field == "query":
        for term in TERMS:
            yield from ((term.format(one), term.format(other)) for one, other in NAMES.items())
    elif field in Objects._fields:
        yield str(getattr(theirs, field)), str(getattr(nobodys, field))
    else:
        yield from list(NAMES.items())[::2]


def shown(answer: Any, *given: str) -> tuple[int, str]:
    """Return what a caller sees, without what it has given."""
    text = answer.text
    for one in given:
        text = text.replace(one, "")
    return answer.status_code, text


def without_fences(text: str, given: str) -> str:
    return re.sub("untrusted [0-9a-f]{16}", "", text.replace(given, ""))
