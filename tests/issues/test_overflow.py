"""The limit of new issues a project and hour: what is beyond it goes to `<other>`."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.events.tables import envelopes
from app.issues import triage
from app.issues.overflow import MAX_TYPES
from app.issues.similarity_index import read_unread, unread
from app.issues.tables import issue_tags, issues, new_issue_windows
from app.projects import create_project
from config import ROOT
from tests.alert_steps import evaluate, only, store_events, titles
from tests.conftest import parts_of
from tests.issues.payloads import Payload, calls

LIMIT = 3
NOON = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(MAX_NEW_ISSUES_PER_HOUR=LIMIT)


def failing(name: Any, **more: Any) -> Payload:
    return calls(f"step_{name}", **more)


def titles_of_issues(app: Flask, project_id: int = 1) -> list[str]:
    with parts_of(app).store.read() as conn:
        query = select(issues.c.title).where(issues.c.project_id == project_id)
        return list(conn.scalars(query.order_by(issues.c.id)))


def other(app: Flask) -> Any:
    with parts_of(app).store.read() as conn:
        return conn.execute(select(issues).where(issues.c.title == "<other>")).one()


def test_new_issues_beyond_the_limit_are_one_issue_and_known_ones_go_on(app: Flask) -> None:
    store_events(app, *(failing(n) for n in range(LIMIT + 4)))
    assert len(titles_of_issues(app)) == LIMIT + 1
    assert other(app).times_seen == other(app).stored_event_count == 4
    store_events(app, failing(0), failing(0))
    with parts_of(app).store.read() as conn:
        first = conn.execute(select(issues).order_by(issues.c.id)).first()
    assert first and first.times_seen == 3


def test_same_error_in_the_next_hour_makes_its_own_issue(
    app: Flask, clock: time_machine.Traveller
) -> None:
    store_events(app, *(failing(n) for n in range(LIMIT + 1)))
    late = failing(LIMIT)
    store_events(app, late)
    assert other(app).times_seen == 2
    clock.shift(timedelta(minutes=30))
    store_events(app, late)
    assert len(titles_of_issues(app)) == LIMIT + 2
    assert other(app).times_seen == 2


def test_limit_holds_within_one_batch(app: Flask) -> None:
    with ThreadPoolExecutor(12) as pool:
        with parts_of(app).store.write():
            waiting = [pool.submit(store_events, app, failing(n)) for n in range(12)]
        for one in waiting:
            one.result()
    assert len(titles_of_issues(app)) == LIMIT + 1
    assert other(app).times_seen == 12 - LIMIT


def test_one_project_uses_up_nothing_of_another(app: Flask) -> None:
    create_project(parts_of(app).store, "Shop")
    store_events(app, *(failing(n) for n in range(LIMIT + 5)))
    store_events(app, failing("honest"), project_id=2)
    assert len(titles_of_issues(app, 2)) == 1 and "<other>" not in titles_of_issues(app, 2)


def test_zero_is_no_limit(make_app: Callable[..., Flask]) -> None:
    app = make_app(MAX_NEW_ISSUES_PER_HOUR=0)
    store_events(app, *(failing(n) for n in range(LIMIT + 4)))
    assert len(titles_of_issues(app)) == LIMIT + 4


def test_event_in_other_is_no_new_issue_for_alerts_nor_for_delivery(app: Flask) -> None:
    only(app, "new_issue", cooldown_minutes=1)
    store_events(app, *(failing(n) for n in range(LIMIT + 2)))
    evaluate(app)
    assert titles(app) == [f"DevEnviro: {LIMIT} new issues"]
    with parts_of(app).store.read() as conn:
        first = envelopes.c.priority == 0
        assert conn.scalar(select(func.count()).where(first)) == LIMIT


def test_reaching_the_limit_raises_one_notification(
    app: Flask, clock: time_machine.Traveller
) -> None:
    only(app, "new_issue_limit")
    evaluate(app)
    assert titles(app) == []
    for step in range(4):
        store_events(app, *(failing(f"{step}-{n}") for n in range(LIMIT + 2)))
        clock.shift(timedelta(minutes=31))
        evaluate(app)
    assert len(titles(app)) == 1
    assert titles(app)[0].endswith(
        f"had more than {LIMIT} new issues in an hour: further ones are in <other>"
    )


def test_other_that_is_ignored_stays_quiet_and_goes_on_counting(
    app: Flask, clock: time_machine.Traveller
) -> None:
    only(app, "new_issue_limit")
    store_events(app, *(failing(n) for n in range(LIMIT + 1)))
    with parts_of(app).store.write() as conn:
        triage.ignore(conn, [other(app).id], "ada")
    clock.shift(timedelta(hours=1))
    store_events(app, *(failing(f"b{n}") for n in range(LIMIT + 1)))
    evaluate(app)
    assert titles(app) == [] and other(app).times_seen == 2


def test_other_that_is_resolved_comes_back_without_an_alert_of_a_regression(app: Flask) -> None:
    only(app, "regression")
    store_events(app, *(failing(n) for n in range(LIMIT + 1)))
    with parts_of(app).store.write() as conn:
        triage.resolve(conn, [other(app).id], "ada")
    store_events(app, failing("late"))
    assert (other(app).status, other(app).regressed) == ("unresolved", True)
    evaluate(app)
    assert titles(app) == []


def test_other_that_is_deleted_is_made_anew(app: Flask, client: FlaskClient) -> None:
    store_events(app, *(failing(n) for n in range(LIMIT + 1)))
    with parts_of(app).store.write() as conn:
        triage.delete(conn, [other(app).id])
    store_events(app, failing("late"))
    found = client.get("/api/issues").json["issues"]
    assert [one["times_seen"] for one in found if one["title"] == "<other>"] == [1]


def test_other_lists_its_ten_commonest_types(
    app: Flask, client: FlaskClient, admin_client: FlaskClient
) -> None:
    store_events(app, *(failing(n) for n in range(LIMIT)))
    for rank in range(12):
        store_events(app, *(failing(f"{rank}-{n}", type=f"E{rank:02}") for n in range(12 - rank)))
    store_events(app, failing("own", type="E00") | {"tags": {"type": "cart"}})
    answer = client.get(f"/api/issues/{other(app).id}").json
    counts = {"E00": 13, **{f"E{rank:02}": 12 - rank for rank in range(1, 10)}}
    assert {one["type"]: one["times_seen"] for one in answer["types"]} == counts
    page = admin_client.get(f"/admin/issues/{other(app).id}").text
    assert "Commonest types" in page
    assert ">E09</td>" in page and ">E10</td>" not in page
    assert client.get("/api/issues/1").json["types"] is None


def test_common_type_is_found_however_many_others_come_first(app: Flask) -> None:
    store_events(app, *(failing(n) for n in range(LIMIT)))
    store_events(app, *(failing(f"a{n}", type=f"Rare{n}") for n in range(MAX_TYPES + 20)))
    store_events(app, *(failing(f"b{n}", type="Common") for n in range(20)))
    with parts_of(app).store.read() as conn:
        types = issue_tags.c.key == "type"
        rows = conn.execute(
            select(issue_tags).where(types).order_by(issue_tags.c.times_seen.desc())
        ).all()
    assert len(rows) == MAX_TYPES and rows[0].value == "Common"
    assert sum(row.times_seen for row in rows) == other(app).times_seen


def test_other_is_like_no_issue_and_is_not_read_again(app: Flask, client: FlaskClient) -> None:
    store_events(app, *(failing(n) for n in range(LIMIT + 1)))
    store = parts_of(app).store
    read_unread(store, 100)
    with store.read() as conn:
        assert unread(conn, 10) == []
    assert client.get(f"/api/issues/{other(app).id}/similar").json["similar"] == []


def test_rule_that_ignores_events_does_not_hide_other(app: Flask, client: FlaskClient) -> None:
    rule = {"kind": "ignore", "text": "type:Noise"}
    assert client.post("/api/rules", json=rule).status_code == 201
    parts_of(app).intake.rules.forget()
    store_events(app, *(failing(n) for n in range(LIMIT)))
    store_events(app, failing("noise", type="Noise"))
    assert other(app).status == "unresolved"


OTHER_PROCESS = """
import sys, time_machine
from app import create_app
from config import load_config
from tests.alert_steps import store_events
from tests.issues.test_overflow import LIMIT, NOON, failing

settings = {"DATABASE_URL": sys.argv[1], "DATA_DIR": sys.argv[2]}
app = create_app(
    load_config({}, ENVIRONMENT="testing", MAX_NEW_ISSUES_PER_HOUR=LIMIT, **settings)
)
with time_machine.travel(NOON):
    store_events(app, *(failing(sys.argv[3] + str(n)) for n in range(5)))
"""


def test_limit_holds_over_processes(app: Flask, database_url: str) -> None:
    arguments = database_url, str(parts_of(app).config.DATA_DIR)
    running = [
        subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, *arguments, name], cwd=ROOT)
        for name in "ab"
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert len(titles_of_issues(app)) == LIMIT + 1
    assert other(app).times_seen == 10 - LIMIT


def test_new_issues_are_counted_in_one_row_of_their_project(app: Flask) -> None:
    store_events(app, failing(uuid.uuid4().hex))
    with parts_of(app).store.read() as conn:
        before = conn.execute(select(new_issue_windows)).all()
    assert [(row.made, row.over_at) for row in before] == [(1, None)]
