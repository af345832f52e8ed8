"""Quotas: what is beyond them is told to wait, stored nowhere, and counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sentry_sdk
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.delivery.accounting import read_counters
from app.intake.refusals import refusals
from app.projects import create_project, projects, quota_of
from app.projects.quotas import refused_counter
from app.protocol.rate_limits import parse_rate_limits
from tests.alert_steps import evaluate, only, titles
from tests.conftest import parts_of
from tests.delivery_steps import accounting_of
from tests.ingest.test_door import KEY, OTHER_KEY, envelope, event, post

BOTH_WAYS = True

Count = Callable[[], tuple[int, int]]
# The clock of the tests stands still, so that no minute ends while one of them runs.
NOON = datetime(2026, 11, 24, 12, 0, 40, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def set_quota(app: Flask, limit: int | None, project_id: int = 42) -> None:
    with parts_of(app).store.write() as conn:
        statement = update(projects).where(projects.c.id == project_id)
        conn.execute(statement.values(events_per_minute=limit))
    parts_of(app).keys._known.clear()  # As after a second.


def refused(app: Flask, project_id: int = 42) -> int:
    parts_of(app).intake.flush()
    with parts_of(app).store.read() as conn:
        return read_counters(conn).get(refused_counter(project_id), 0)


def test_envelope_over_the_quota_gets_429_and_is_not_stored(
    app: Flask, client: FlaskClient, stored: Count
) -> None:
    set_quota(app, 2)
    assert [post(client, envelope()).status_code for _ in range(2)] == [200, 200]
    for _ in range(3):
        answer = post(client, envelope())
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "20"
        assert answer.headers["X-Sentry-Rate-Limits"] == "20:error;default:project:quota"
        assert "quota" in answer.json["detail"] and "quota" in answer.headers["X-Sentry-Error"]
        assert "x-sentry-rate-limits" in answer.headers["Access-Control-Expose-Headers"]
    assert stored() == (2, 2)
    assert refused(app) == 3
    assert accounting_of(app)["accepted"] == 2 and accounting_of(app)["balanced"]


def test_next_minute_takes_again(
    app: Flask, client: FlaskClient, stored: Count, clock: time_machine.Traveller
) -> None:
    set_quota(app, 1)
    assert [post(client, envelope()).status_code for _ in range(2)] == [200, 429]
    clock.shift(19.9)
    answer = post(client, envelope())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    clock.shift(0.2)
    assert [post(client, envelope()).status_code for _ in range(2)] == [200, 429]
    assert stored() == (2, 2)


def test_project_without_a_quota_is_not_counted(
    app: Flask, client: FlaskClient, stored: Count
) -> None:
    set_quota(app, 1, project_id=42)
    other = {"X-Sentry-Auth": f"Sentry sentry_key={OTHER_KEY}"}
    for _ in range(3):
        answer = client.post("/api/43/envelope/", data=envelope(), headers=other)
        assert answer.status_code == 200
    set_quota(app, 0, project_id=42)  # 0 is no limit, as everywhere.
    assert [post(client, envelope()).status_code for _ in range(3)] == [200] * 3
    assert stored() == (6, 6) and refused(app) == refused(app, 43) == 0


@pytest.mark.parametrize("kind", ["client_report", "session", "sessions", "check_in"])
def test_reports_sessions_and_check_ins_pass_and_use_nothing_up(
    app: Flask, client: FlaskClient, kind: str
) -> None:
    set_quota(app, 1)
    for _ in range(2):
        assert post(client, envelope(b"{}", kind=kind)).status_code == 200
    assert [post(client, envelope()).status_code for _ in range(2)] == [200, 429]
    assert post(client, envelope(b"{}", kind=kind)).status_code == 200


@pytest.mark.parametrize(
    ("kinds", "named"),
    [
        (["transaction"], "transaction"),
        (["event", "attachment"], "error;default;attachment"),
        (["event", "client_report", "event_of_tomorrow"], "error;default;event_of_tomorrow"),
        (["log"], "log_item;log_byte"),
        (["odd\r\nX-Evil: 1"], "default"),
    ],
)
def test_limit_names_the_categories_of_what_was_sent(
    app: Flask, client: FlaskClient, kinds: list[str], named: str
) -> None:
    set_quota(app, 1)
    post(client, envelope())
    items = [
        json.dumps({"type": kind, "length": len(event())}).encode() + b"\n" + event()
        for kind in kinds
    ]
    answer = post(client, b"\n".join([b"{}", *items]))
    assert answer.status_code == 429 and "X-Evil" not in answer.headers
    header = answer.headers["X-Sentry-Rate-Limits"]
    assert header == f"20:{named}:project:quota"
    assert set(parse_rate_limits(header, NOON)) == set(named.split(";"))


def test_store_endpoint_and_tunnel_hold_the_quota(app: Flask, client: FlaskClient) -> None:
    set_quota(app, 1)
    dsn = f"https://{'a1b2c3d4e5f60718293a4b5c6d7e8f90'}@elsewhere.example/42"
    assert post(client, event(), path="/api/42/store/").status_code == 200
    assert post(client, event(), path="/api/42/store/").status_code == 429
    for path in ("/tunnel/", "/monitoring"):
        answer = client.post(path, data=envelope(dsn=dsn))
        assert answer.status_code == 429 and answer.headers["Retry-After"] == "20"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_quota_that_was_raised_counts_from_the_same_minute(
    app: Flask, client: FlaskClient, stored: Count
) -> None:
    set_quota(app, 1)
    assert [post(client, envelope()).status_code for _ in range(2)] == [200, 429]
    set_quota(app, 4)
    codes = [post(client, envelope()).status_code for _ in range(4)]
    # The one that was refused has been counted, too.
    assert codes == [200, 200, 429, 429]
    set_quota(app, None)
    assert post(client, envelope()).status_code == 200
    assert stored() == (4, 4)


def test_event_refused_in_a_batch_is_not_answered_as_a_duplicate(
    app: Flask, client: FlaskClient, stored: Count
) -> None:
    set_quota(app, 1)
    assert post(client, envelope()).status_code == 200
    parts_of(app).quotas._shut.clear()
    with ThreadPoolExecutor(8) as pool:
        again = envelope(event_id="a" * 32)
        clients = [app.test_client() for _ in range(16)]
        codes = list(pool.map(lambda one: post(one, again).status_code, clients))
    assert codes == [429] * 16
    assert stored() == (1, 1)


def test_own_errors_are_never_limited(app: Flask, stored: Count) -> None:
    set_quota(app, 1, project_id=1)
    for number in range(3):
        sentry_sdk.capture_message(f"own {number}")
    assert stored() == (3, 3)


# ---- the default, and who is told ---------------------------------------------------------------


def test_project_without_a_quota_of_its_own_has_the_default(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(DEFAULT_EVENTS_PER_MINUTE=2)
    create_project(parts_of(app).store, "Shop", 42, KEY)
    client = app.test_client()
    assert [post(client, envelope()).status_code for _ in range(3)] == [200, 200, 429]
    set_quota(app, 0)
    assert post(client, envelope()).status_code == 200
    set_quota(app, 3)
    assert parts_of(app).keys.project_of(KEY) == 42
    assert parts_of(app).keys.quota_of(42) == 3


def test_default_is_60000_and_none_for_this_application(app: Flask) -> None:
    default = parts_of(app).config.DEFAULT_EVENTS_PER_MINUTE
    assert (quota_of(42, None, default), quota_of(1, None, default)) == (60_000, None)
    assert (quota_of(42, 0, default), quota_of(1, 5, default)) == (None, 5)


def test_first_refusal_is_a_notification_and_a_line_on_start(
    app: Flask, client: FlaskClient, admin_client: FlaskClient, clock: time_machine.Traveller
) -> None:
    only(app, "quota", project_id=42)
    set_quota(app, 1)
    evaluate(app)
    assert titles(app) == [] and "over its quota" not in admin_client.get("/admin/").text
    for _ in range(4):
        post(client, envelope())
    parts_of(app).intake.flush()
    with parts_of(app).store.read() as conn:
        name = conn.scalar(select(projects.c.name).where(projects.c.id == 42))
    words = f"Project {name} was over its quota at 12:00: 3 envelopes were refused"
    page = admin_client.get("/admin/").text
    assert words in page and "/admin/projects/42" in page
    for _ in range(2):
        clock.shift(61)
        evaluate(app)
        for _ in range(2):
            post(client, envelope())
    assert titles(app) == [words]


def test_line_counts_from_the_time_when_the_quota_was_used_up(
    app: Flask, client: FlaskClient, clock: time_machine.Traveller
) -> None:
    set_quota(app, 1)
    for hours in (0, 3):
        clock.shift(3600 * hours)
        for _ in range(3):
            post(client, envelope())
        parts_of(app).intake.flush()
    with parts_of(app).store.read() as conn:
        (found,) = refusals(conn, NOON)
    assert found.words.endswith("at 15:00: 2 envelopes were refused")


def test_pages_tell_the_default_from_a_quota_of_ones_own(
    app: Flask, admin_client: FlaskClient
) -> None:
    for path in ("/admin/projects", "/admin/projects/42"):
        assert "default (60,000)" in admin_client.get(path).text
    set_quota(app, 0)
    assert "default (60,000)" not in admin_client.get("/admin/projects/42").text
