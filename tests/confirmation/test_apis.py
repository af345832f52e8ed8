"""Which API is asked: the token goes to the address that it was given for, and to no other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.confirmation import canary
from app.confirmation.apis import Api, access_of
from app.confirmation.sources import Source
from app.confirmation.tables import State
from app.delivery.destinations import ApiSettings, Destination, Destinations, set_api, set_dsn
from app.projects import create_project
from app.store import utc_now
from tests.confirmation.steps import SETTINGS, ask_until, capture, rows, states, task_of
from tests.conftest import parts_of
from tests.contract_sentry import ORG, TOKEN, ContractSentry
from tests.delivery_steps import deliver

SAAS = "https://key@o4501.ingest.us.sentry.io/42"


def found(dsn: str, api: ApiSettings = ApiSettings(), **own: Any) -> Api | str:  # noqa: B008
    destinations = Destinations(own.pop("own_dsn", None), own_api=ApiSettings(**own))
    return access_of(Destination(2, dsn, checked=True, api=api), destinations)


@pytest.mark.parametrize(
    ("dsn", "url", "org"),
    [
        (SAAS, "https://us.sentry.io", "4501"),
        ("https://key@o4501.ingest.sentry.io/42", "https://sentry.io", "4501"),
        ("https://key@sentry.example:9000/in/42", "https://sentry.example:9000/in", None),
    ],
)
def test_api_is_that_of_the_dsn(dsn: str, url: str, org: str | None) -> None:
    api = found(dsn, ApiSettings("token", None, None if org else "acme"))
    assert isinstance(api, Api)
    assert (api.url, api.org, api.project) == (url, org or "acme", "42")
    assert "token" not in repr(api).replace("'token'", "")


@pytest.mark.parametrize(
    ("dsn", "own_dsn", "is_shared"),
    [
        ("https://key@sentry.example/42", "https://other@sentry.example/1", True),
        ("https://key@evil.example/42", "https://other@sentry.example/1", False),
        (SAAS, "https://other@o4501.ingest.us.sentry.io/1", True),
        (SAAS, "https://other@o77.ingest.us.sentry.io/1", False),
        (SAAS, None, False),
    ],
)
def test_token_of_the_settings_is_for_projects_of_the_same_sentry(
    dsn: str, own_dsn: str | None, is_shared: bool
) -> None:
    access = found(dsn, own_dsn=own_dsn, token="token", org="acme")
    assert isinstance(access, Api) is is_shared
    if not is_shared:
        assert access == "no token: its project has no API token"


def test_missing_settings_are_named() -> None:
    assert found("https://key@sentry.example/42", ApiSettings("token")) == (
        "no organization: its project names no organization"
    )
    own = Destinations("https://key@sentry.example/42")
    assert access_of(Destination(1, own.own_dsn), own) == "no token: SENTRY_API_TOKEN is not set"


def test_project_without_events_for_an_hour_needs_a_canary() -> None:
    now = utc_now()
    idle = Source(2, "", chosen_at=now - timedelta(hours=1))
    busy = Source(3, "", chosen_at=now - timedelta(minutes=59))
    sources = {2: idle, 3: busy}
    well = [Destination(id, SAAS) for id in sources]
    chosen = canary.project_without_events(sources, well, now)
    assert chosen is not None and chosen.project_id == 2
    for held_up in (
        {"paused_at": now},
        {"open_since": now},
        {"failures": 1},
        {"limits": {"error": now + timedelta(minutes=1)}},
    ):
        waiting = [Destination(2, SAAS, **held_up)]
        assert canary.project_without_events(sources, waiting, now) is None


# ---- projects -----------------------------------------------------------------------------------


@pytest.fixture
def shop(app: Flask) -> int:
    return create_project(parts_of(app).store, "Shop", 42).id


def test_token_of_a_project_is_never_shown_and_leaves_with_another_address(
    app: Flask, client: FlaskClient, shop: int
) -> None:
    path = "/api/projects/42"
    first = {
        "upstream_dsn": "https://key@sentry.example/7",
        "upstream_api_token": TOKEN,
        "upstream_org": "acme",
    }
    answer = client.patch(path, json=first)
    assert answer.status_code == 200 and TOKEN not in answer.text
    assert answer.json["upstream_api_host"] == "https://sentry.example"
    # Another project of the same Sentry keeps it; somebody else's host does not get it.
    same = client.patch(path, json={"upstream_dsn": "https://key@sentry.example/8"})
    assert same.json["upstream_api_host"] == "https://sentry.example"
    for change in (
        {"upstream_dsn": "https://key@evil.example/8"},
        {"upstream_api_url": "https://evil.example"},
    ):
        client.patch(path, json=first | {"upstream_api_url": None})
        assert client.patch(path, json=change).json["upstream_api_host"] is None
        with parts_of(app).store.read() as conn:
            assert parts_of(app).destinations.find(conn, 42).api.token is None


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("project", "change", "field"),
    [
        (42, {"upstream_api_token": "two words"}, "upstream_api_token"),
        (42, {"upstream_org": "../other"}, "upstream_org"),
        (42, {"upstream_api_url": "https://user:word@sentry.example"}, "upstream_api_url"),
        (42, {"upstream_api_url": "http://169.254.169.254"}, "upstream_api_url"),
        (42, {"upstream_api_url": "file:///etc/passwd"}, "upstream_api_url"),
        (42, {"upstream_api_url": "https://[host"}, "upstream_api_url"),
        (1, {"upstream_api_token": TOKEN}, "upstream_api_token"),
    ],
)
def test_wrong_value_is_named_at_its_field(
    client: FlaskClient, shop: int, project: int, change: dict[str, str], field: str
) -> None:
    answer = client.patch(f"/api/projects/{project}", json=change)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert TOKEN not in answer.text


@pytest.mark.one_database
def test_private_address_is_asked_only_if_it_is_allowed(
    make_app: Callable[..., Flask], contract: ContractSentry, clock: Any
) -> None:
    app = make_app()
    parts, task = parts_of(app), task_of(app)
    create_project(parts.store, "Shop", 42)
    with parts.store.write() as conn:
        set_dsn(conn, 42, contract.dsn)
        set_api(conn, 42, ApiSettings(TOKEN, contract.url, ORG))
    add_event(app, 42)
    deliver(app)
    parts.destinations.allow_private = False
    ask_until(app, task, clock, utc_now() + timedelta(seconds=20))
    assert contract.asked == [] and set(states(app).values()) == {State.OPEN}
    parts.destinations.allow_private = True
    ask_until(app, task, clock, utc_now() + timedelta(minutes=2))
    assert set(states(app).values()) == {State.CONFIRMED}


def test_nothing_that_a_replaced_dsn_accepted_is_called_missing(
    make_app: Callable[..., Flask], contract: ContractSentry, clock: Any
) -> None:
    contract.swallows = lambda number: True
    app = make_app()
    parts, task = parts_of(app), task_of(app)
    create_project(parts.store, "Shop", 42)
    with parts.store.write() as conn:
        set_dsn(conn, 42, contract.dsn)
        set_api(conn, 42, ApiSettings(TOKEN, contract.url, ORG))
    before = add_event(app, 42)
    deliver(app)
    task.work()
    late = add_event(app, 42)
    deliver(app)  # Accepted by the old DSN, and not chosen yet.
    with parts.store.write() as conn:
        set_dsn(conn, 42, f"{contract.dsn.removesuffix('42')}43")
    ask_until(app, task, clock, utc_now() + timedelta(minutes=17))
    row = rows(app)[before]
    assert row.state == State.UNKNOWN and "DSN was replaced" in row.reason
    assert late not in rows(app)


def add_event(app: Flask, project_id: int) -> str:
    from tests.alert_steps import store_events

    [event_id] = store_events(app, {"message": "declined", "level": "error"}, project_id=project_id)
    return event_id


@pytest.mark.one_database
def test_demo_and_projects_without_a_token_are_not_asked_about(
    make_app: Callable[..., Flask], contract: ContractSentry, clock: Any
) -> None:
    app = make_app(SENTRY_DSN=contract.dsn, SENTRY_ORG=SETTINGS["SENTRY_ORG"])
    task = task_of(app, canaries=True)
    capture(1)
    deliver(app)
    ask_until(app, task, clock, utc_now() + timedelta(hours=2))
    assert contract.asked == [] and rows(app) == {}
