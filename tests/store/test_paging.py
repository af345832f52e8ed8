"""Lists: a project's go along an index, and any other filter looks at a bounded number of rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as sqlalchemy_event

from app.events.filter import EventFilter
from app.events.queries import page_of_events
from app.events.tables import envelopes, events
from app.issues.filter import IssueFilter
from app.issues.queries import list_issues
from app.issues.tables import STATUSES, feedback, issues
from app.projects import projects
from app.store import Store, paging, utc_now
from tests.conftest import parts_of

ROWS = 120
WINDOW = 25
PROJECTS = 3
NEEDLE = 3  # The row that filters look for: one of the oldest.


@pytest.fixture
def store(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with as many issues as events, envelopes and feedback, of three projects."""
    monkeypatch.setattr(paging, "SCAN_ROWS", WINDOW)
    store = parts_of(app).store
    fill(store, ROWS)
    return store


def fill(store: Store, count: int) -> None:
    now = utc_now()
    made = [{"id": n, "name": f"project {n}", "created_at": now} for n in range(2, PROJECTS + 1)]
    shared = [(n, now - timedelta(minutes=count - n)) for n in range(1, count + 1)]
    with store.write() as conn:
        conn.execute(projects.insert(), made)
        for table, row in (
            (issues, _issue),
            (envelopes, _envelope),
            (events, _event),
            (feedback, _feedback),
        ):
            conn.execute(table.insert(), [row(n, at) for n, at in shared])
            if not store.is_sqlite:
                conn.exec_driver_sql(f"ANALYZE {table.name}")


def _project(n: int) -> int:
    return n % PROJECTS + 1


def _issue(n: int, at: Any) -> dict[str, Any]:
    return {
        "id": n, "project_id": _project(n), "title": _title(n), "culprit": "c",
        "type": "T", "level": _level(n),
        "status": STATUSES[n % 3], "times_seen": n, "stored_event_count": 1, "users": 0,
        "first_seen": at, "last_seen": at,
    }  # fmt: skip


def _envelope(n: int, at: Any) -> dict[str, Any]:
    return {
        "id": n, "uid": f"{n:032x}", "project_id": _project(n), "event_id": f"{n:032x}",
        "item_types": "event", "state": "parked", "reason": _title(n), "received_at": at,
        "size_bytes": 1, "body": b"",
    }  # fmt: skip


def _event(n: int, at: Any) -> dict[str, Any]:
    return {
        "id": n, "event_id": f"{n:032x}", "project_id": _project(n), "issue_id": n,
        "envelope_id": n, "level": _level(n), "title": _title(n), "culprit": "c",
        "timestamp": at, "received_at": at, "stored_at": at, "scrub_ms": 0.1, "scrubbed": [],
    }  # fmt: skip


def _feedback(n: int, at: Any) -> dict[str, Any]:
    return {
        "id": n, "project_id": _project(n), "envelope_id": n, "issue_id": n,
        "message": _title(n), "received_at": at,
    }  # fmt: skip


def _title(n: int) -> str:
    return "the needle" if n == NEEDLE else f"hay {n}"


def _level(n: int) -> str:
    return "fatal" if n == NEEDLE else "error"


def pages(client: FlaskClient, path: str, **query: Any) -> list[list[Any]]:
    """Return the ids of every page of a list."""
    found: list[list[Any]] = []
    name = path.rpartition("/")[2]
    while True:
        answer = client.get(path, query_string=query)
        assert answer.status_code == 200, answer.text
        rows = answer.json[name]
        found.append([int(row["event_id"], 16) if name == "events" else row["id"] for row in rows])
        if answer.json["next"] is None:
            return found
        assert query.get("cursor") != answer.json["next"]
        query["cursor"] = answer.json["next"]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("path", "query", "fewest_pages"),
    [
        ("/api/events", {"level": "fatal"}, ROWS // WINDOW),
        ("/api/events", {"q": "NEEDLE"}, ROWS // WINDOW),
        (
            "/api/events",
            {"q": "needle", "project_id": _project(NEEDLE)},
            ROWS // PROJECTS // WINDOW,
        ),
        ("/api/issues", {"level": "fatal"}, ROWS // PROJECTS // WINDOW),
        ("/api/issues", {"q": "needle", "sort": "times_seen"}, ROWS // PROJECTS // WINDOW),
        ("/api/deliveries", {"reason": "needle"}, ROWS // WINDOW),
        ("/api/deliveries", {"reason": "needle", "state": "parked"}, ROWS // WINDOW),
        ("/api/feedback", {"q": "needle"}, ROWS // WINDOW),
    ],
)
def test_filter_that_finds_nothing_in_its_window_answers_and_says_where_to_go_on(
    client: FlaskClient, path: str, query: dict[str, Any], fewest_pages: int
) -> None:
    found = pages(client, path, **query)
    assert len(found) >= max(2, fewest_pages) and found[0] == []
    assert [id for page in found for id in page] == [NEEDLE]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("path", ["/api/events", "/api/issues", "/api/deliveries", "/api/feedback"])
def test_pages_of_a_project_have_every_row_once_and_are_full(
    client: FlaskClient, path: str
) -> None:
    found = pages(client, path, project_id=2, limit=7)
    whole = [n for n in range(ROWS, 0, -1) if _project(n) == 2]
    assert [id for page in found for id in page] == whole
    if path != "/api/deliveries":
        assert all(len(page) == 7 for page in found[:-1])


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("sort", ["last_seen", "first_seen", "times_seen"])
def test_pages_of_issues_of_every_status_merge_without_gap_where_windows_end_differently(
    client: FlaskClient, store: Store, sort: str
) -> None:
    with store.write() as conn:  # Few are ignored, and those are the oldest.
        conn.execute(issues.update().where(issues.c.id > 9).values(status="unresolved"))
    found = pages(client, "/api/issues", level="error", sort=sort, limit=10)
    whole = [n for n in range(ROWS, 0, -1) if n != NEEDLE]
    assert [id for page in found for id in page] == whole


@pytest.mark.usefixtures("store")
def test_id_of_an_old_event_is_found_at_once(client: FlaskClient) -> None:
    for path in ("/api/events", "/api/issues"):
        answer = client.get(path, query_string={"q": f"{NEEDLE:032x}"}).json
        assert len(answer[path.rpartition("/")[2]]) == 1 and answer["next"] is None
    assert pages(client, "/api/deliveries", event_id=f"{NEEDLE:032x}") == [[NEEDLE]]


@pytest.mark.usefixtures("store")
def test_total_is_null_where_a_count_would_look_beyond_its_window(client: FlaskClient) -> None:
    assert client.get("/api/issues?level=error").json["total"] is None
    assert client.get("/api/issues").json["total"] == ROWS
    assert client.get("/api/issues?project_id=1").json["total"] == ROWS // PROJECTS


@pytest.mark.usefixtures("store")
def test_period_is_found_wherever_it_lies_and_ends_where_it_ends(client: FlaskClient) -> None:
    oldest = utc_now() - timedelta(minutes=ROWS + 1)
    until = oldest + timedelta(minutes=6, seconds=30)
    found = pages(client, "/api/events", since=oldest.isoformat(), until=until.isoformat())
    assert found == [[6, 5, 4, 3, 2, 1]] or found == [[5, 4, 3, 2, 1]]
    since = utc_now() - timedelta(minutes=2, seconds=30)
    assert pages(client, "/api/events", since=since.isoformat()) == [[ROWS, ROWS - 1, ROWS - 2]]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/admin/deliveries?reason=needle", "envelopes"),
        ("/admin/feedback?q=needle", "entries"),
    ],
)
def test_page_whose_filter_has_more_to_look_at_leads_on_to_it(
    admin_client: FlaskClient, path: str, what: str
) -> None:
    for _ in range(ROWS // WINDOW + 2):
        page = admin_client.get(path).text
        if "the needle" in page:
            return
        assert f"Looked at 20,000 {what}; go on" in page
        link = page.partition('<p class="go-on"><a href="')[2].partition('"')[0]
        path = link.replace("&amp;", "&")
    pytest.fail("the links led nowhere")


def test_lists_of_a_project_read_its_index_alone(app: Flask) -> None:
    store, asked = parts_of(app).store, []
    fill(store, 3000)
    with store.write() as conn:  # A quiet project among busy ones.
        conn.execute(issues.update().where(issues.c.id % 100 > 0).values(project_id=1))
        if not store.is_sqlite:
            conn.exec_driver_sql("ANALYZE issues")

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    engine = store._reader()
    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    with store.read() as conn:
        page_of_events(conn, EventFilter(project_id=2))
        page_of_events(conn, EventFilter(project_id=2), before=2000)
        list_issues(conn, IssueFilter(project_id=2))
    sqlalchemy_event.remove(engine, "before_cursor_execute", note)
    asked = [one for one in asked if one[0].startswith("SELECT")]
    assert len(asked) == 2 + len(STATUSES)
    explain = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "
    names = {
        "events": "ix_events_project_id_id",
        "issues": "ix_issues_project_id_status_last_seen_id",
    }
    with store.read() as conn:
        for statement, parameters in asked:
            plan = str(conn.exec_driver_sql(explain + statement, parameters).all())
            assert names["events" if "envelopes" in statement else "issues"] in plan, plan
            assert "TEMP B-TREE" not in plan and "Sort" not in plan, plan
