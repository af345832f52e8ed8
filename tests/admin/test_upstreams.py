"""What pages and answers say of Sentry where projects have destinations of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.delivery.destinations import set_dsn
from app.delivery.tables import destinations
from app.events.tables import envelopes
from app.store import utc_now
from tests.conftest import API_TOKEN, parts_of
from tests.delivery.shop import accept, add_project, rows_of
from tests.mini_sentry import MiniSentry

pytestmark = pytest.mark.one_database

DSN = "http://key@127.0.0.1:9/7"


@pytest.fixture
def shop(make_app: Callable[..., Flask]) -> Flask:
    """No SENTRY_DSN; project 2 is sent on, project 3 is not."""
    app = make_app()
    add_project(app, 2, DSN)
    add_project(app, 3, None)
    return app


@pytest.fixture
def person(shop: Flask, login: Callable[[FlaskClient], FlaskClient]) -> FlaskClient:
    return login(shop.test_client())


def learn(app: Flask, project_id: int = 2, **values: object) -> None:
    """Have a destination's forwarder have learned something."""
    with parts_of(app).store.write() as conn:
        statement = update(destinations).where(destinations.c.project_id == project_id)
        conn.execute(statement.values(values))


def open_circuit(app: Flask, project_id: int = 2, probe_in_s: float = 60) -> None:
    now = utc_now()
    probe_at = now + timedelta(seconds=probe_in_s)
    learn(app, project_id, open_since=now, cause="403: no", failures=3, probe_at=probe_at)


def header(client: FlaskClient) -> tuple[str, str]:
    """Words and title of the badge."""
    found = re.search(r'<a class="state"([^>]*)>([^<]+)</a>', client.get("/admin/").text)
    assert found
    title = re.search(r'title="([^"]*)"', found[1])
    return found[2], unescape(title[1]) if title else ""


def answered(client: FlaskClient, path: str) -> dict:
    answer = client.get(path, headers={"Authorization": f"Bearer {API_TOKEN}"})
    assert answer.status_code == 200, answer.text
    return answer.json


def test_header_says_how_projects_with_a_destination_are_although_project_1_has_none(
    shop: Flask, person: FlaskClient
) -> None:
    learn(shop, delivered_at=utc_now())
    assert header(person)[0] == "Sentry: reached"
    open_circuit(shop)
    assert header(person)[0] == "Sentry: not reached"


def test_header_counts_the_worst_of_several_and_names_them(
    shop: Flask, person: FlaskClient
) -> None:
    add_project(shop, 4, DSN)
    open_circuit(shop, 4)
    words, title = header(person)
    assert words == "Sentry: 1 of 2 projects waiting"
    assert "shop 4: waits for Sentry (403: no)" in title and "shop 2" not in title


def test_start_names_the_project_that_waits_and_the_one_that_has_no_dsn(
    shop: Flask, person: FlaskClient
) -> None:
    open_circuit(shop)
    accept(shop, project_id=2)
    accept(shop, project_id=2)
    page = person.get("/admin/").text
    assert re.search(r">shop 2</a> \(403: no, next try in \d+ s, 2 envelopes wait\)", page)
    assert re.search(r'projects/3">shop 3</a> \(its project has no DSN of its own\)', page)
    assert "1 of 1 project waits for Sentry" in page


def test_project_whose_envelopes_sentry_refused_is_named_on_start_and_status(
    shop: Flask, person: FlaskClient
) -> None:
    accept(shop, project_id=2)
    with parts_of(shop).store.write() as conn:
        conn.execute(update(envelopes).values(state="parked", reason="400: no", next_at=None))
    assert "Sentry refused 1 envelope, kept here: " in person.get("/admin/").text
    assert "shop 2: Sentry refused 1 envelope." in person.get("/admin/status").text


def test_same_number_waits_on_every_page_and_in_every_answer(
    shop: Flask, person: FlaskClient
) -> None:
    for _ in range(3):
        accept(shop, project_id=2)
    open_circuit(shop)
    for path in ("/admin/", "/admin/status", "/admin/projects/2", "/admin/deliveries?project=2"):
        text = " ".join(re.sub(r"<[^>]+>", " ", person.get(path).text).split())
        assert "3 envelopes wait" in text, path
    client = shop.test_client()
    assert answered(client, "/api/projects/2")["delivery"]["waiting"] == 3
    (overview,) = answered(client, "/api/deliveries/overview")["destinations"]
    assert (overview["project_id"], overview["waiting"], overview["parked"]) == (2, 3, 0)
    projects = answered(client, "/system/status")["sentry"]["projects"]
    assert {project["id"]: project["waiting"] for project in projects} == {1: 0, 2: 3, 3: 0}
    assert 'devenviro_project_waiting{project="2"} 3' in client.get("/metrics").text


def test_health_says_that_sentry_is_set_up_where_any_project_is_sent_on(shop: Flask) -> None:
    assert shop.test_client().get("/health").json["sentry"] == {"enabled": True}


def test_project_without_a_dsn_is_told_to_get_its_own_and_not_to_set_sentry_dsn(
    shop: Flask, person: FlaskClient
) -> None:
    event_id = accept(shop, project_id=3)
    (row,) = rows_of(shop)
    for path in (f"/admin/events/{event_id}", f"/admin/deliveries/{row.id}"):
        page = person.get(path).text
        assert "its project has no DSN of its own" in page and 'href="/admin/projects/3"' in page
        assert "SENTRY_DSN" not in page
    page = person.get("/admin/deliveries?project=3").text
    assert "has no DSN of its own" in page and "SENTRY_DSN" not in page


def test_event_that_came_before_its_project_had_a_dsn_says_so(
    shop: Flask, person: FlaskClient
) -> None:
    event_id = accept(shop, project_id=3)
    with parts_of(shop).store.write() as conn:
        set_dsn(conn, 3, DSN)
    assert "it came before its project had a DSN" in person.get(f"/admin/events/{event_id}").text


@pytest.mark.parametrize("is_open", [True, False])
def test_next_try_is_never_in_the_past(shop: Flask, person: FlaskClient, is_open: bool) -> None:
    event_id = accept(shop, project_id=2)
    past = utc_now() - timedelta(hours=1)
    with parts_of(shop).store.write() as conn:
        values = {"state": "retry", "next_at": past, "attempts": 1, "reason": "503: no"}
        conn.execute(update(envelopes).values(values))
    if is_open:
        open_circuit(shop, probe_in_s=-3600)
    (row,) = rows_of(shop)
    paths = ("/admin/", f"/admin/events/{event_id}", "/admin/deliveries")
    for path in (*paths, f"/admin/deliveries/{row.id}"):
        page = person.get(path).text
        assert f"at {past:%H:%M}" not in page, path
    assert ("a probe is due" if is_open else "the next try is due") in person.get(paths[1]).text
    client = shop.test_client()
    assert answered(client, f"/api/deliveries/{row.id}")["next_at"] is None
    (overview,) = answered(client, "/api/deliveries/overview")["destinations"]
    assert overview["probe_at"] is None


def test_next_try_of_what_a_rate_limit_holds_is_when_the_limit_ends(
    shop: Flask, person: FlaskClient
) -> None:
    accept(shop, project_id=2)
    ends = utc_now() + timedelta(minutes=10)
    learn(shop, limits={"error": ends.isoformat()})
    (row,) = rows_of(shop)
    found = answered(shop.test_client(), f"/api/deliveries/{row.id}")["next_at"]
    assert found[:19] == f"{ends:%Y-%m-%dT%H:%M:%S}"


def test_test_page_does_not_say_sent_beside_not_yet(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry, login: Callable[..., FlaskClient]
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    client = login(app.test_client())
    event_id = accept(app)
    page = client.get(f"/admin/test-error?event={event_id}").text
    assert "not yet" in page and "Sent." not in page


def test_project_whose_dsn_was_taken_away_while_envelopes_wait_is_trouble_everywhere(
    shop: Flask, person: FlaskClient
) -> None:
    accept(shop, project_id=2)
    with parts_of(shop).store.write() as conn:
        set_dsn(conn, 2, None)
    assert header(person)[0] == "Sentry: not reached"
    assert "its project has no DSN any more, 1 envelope waits" in person.get("/admin/").text
    assert shop.test_client().get("/health").json["checks"]["delivery"] == "warn"


def test_destination_with_nothing_sent_yet_is_no_reached_one(
    shop: Flask, person: FlaskClient
) -> None:
    assert header(person)[0] == "Sentry: nothing sent yet"
