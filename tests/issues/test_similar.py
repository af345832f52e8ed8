"""Similar issues: read after the event, found in their project, told with how they ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import func, select, update

from app.events.tables import envelopes
from app.intake.retention import purge_deleted
from app.issues import similarity_index, triage
from app.issues.similarity import VERSION
from app.issues.similarity_index import read_unread
from app.issues.tables import issue_similarity, issue_terms, transitions
from app.projects import create_project
from app.store import Store
from tests.admin.hostile import insert, odd_events
from tests.conftest import parts_of, worker_of
from tests.issues.disguises import BUGS, disguise
from tests.issues.payloads import Payload, calls, error, py


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


@pytest.fixture
def issue_of(app: Flask) -> Callable[..., int]:
    """Store an event that is an issue of its own, whatever grouping says; return its id."""

    def make(payload: Payload, name: str, project_id: int = 1) -> int:
        event_id = insert(app, payload | {"fingerprint": [name]}, project_id)
        found = app.test_client().get(f"/api/events/{event_id}").json
        return int(found["issue_id"])

    return make


def similar(client: FlaskClient, issue_id: int, **query: Any) -> list[dict[str, Any]]:
    """What is alike once the background has read every issue."""
    read_unread(parts_of(client.application).store, 1000)
    answer = client.get(f"/api/issues/{issue_id}/similar", query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.json["next"] is None and answer.json["total"] == len(answer.json["similar"])
    found: list[dict[str, Any]] = answer.json["similar"]
    return found


def ids(client: FlaskClient, issue_id: int, **query: Any) -> list[int]:
    return [one["id"] for one in similar(client, issue_id, **query)]


def count(store: Store, table: Any) -> int:
    with store.read() as conn:
        return int(conn.scalar(select(func.count()).select_from(table)) or 0)


def price(number: int = 1) -> Payload:
    return calls("total", type="KeyError", value=f"no price for order {number}")


def rest() -> Payload:
    """Something else, so that what the others have in common is not what all have."""
    return error(py("shop.mail:deliver"), type="TimeoutError", value="smtp gave no answer")


def test_bugs_in_disguise_find_their_twin_first(
    client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    bug_of = {
        issue_of(disguise(bug, variant), f"{number}-{variant}"): number
        for number, bug in enumerate(BUGS)
        for variant in range(3)
    }
    found = {issue_id: ids(client, issue_id, limit=1) for issue_id in bug_of}
    hits = [id for id, first in found.items() if first and bug_of[first[0]] == bug_of[id]]
    assert len(bug_of) == 72 and len(hits) >= 66


def test_answer_says_how_alike_what_is_shared_and_how_it_ended(
    client: FlaskClient, store: Store, issue_of: Callable[..., int]
) -> None:
    old = issue_of(price() | {"release": "shop@1.0"}, "old")
    new, _ = issue_of(price(2), "new"), issue_of(rest(), "rest")
    with store.write() as conn:
        triage.resolve(conn, [old], "ann")
        triage.comment(conn, old, "first", "ann")
        triage.comment(conn, old, "the price list was empty", "bob")
    [one] = similar(client, new)
    assert one["id"] == old and one["score"] == 1.0 and one["status"] == "resolved"
    assert one["shared"] == ["function", "module", "type", "message"]
    assert one["last_release"] == "shop@1.0"
    assert one["resolved"].pop("at").endswith("Z") and one["last_comment"].pop("at").endswith("Z")
    assert one["resolved"] == {"by": "ann", "release": "shop@1.0", "note": None}
    assert one["last_comment"] == {"by": "bob", "text": "the price list was empty"}
    with store.write() as conn:
        is_it = transitions.c.issue_id == old, transitions.c.kind == "resolved"
        conn.execute(update(transitions).where(*is_it).values(release="shop@1.1", note="by ann"))
    [one] = similar(client, new)
    assert (one["resolved"]["release"], one["resolved"]["note"]) == ("shop@1.1", "by ann")


def test_what_is_open_or_ignored_is_shown_with_its_status_and_was_not_resolved(
    client: FlaskClient, store: Store, issue_of: Callable[..., int]
) -> None:
    one, other, third = (issue_of(price(n), f"price {n}") for n in range(3))
    with store.write() as conn:
        triage.resolve(conn, [third], None)
        triage.reopen(conn, [third], None)
        triage.ignore(conn, [other], None)
    found = {row["id"]: row for row in similar(client, one)}
    assert {id: row["status"] for id, row in found.items()} == {
        other: "ignored",
        third: "unresolved",
    }
    assert all(row["resolved"] is None and row["last_comment"] is None for row in found.values())


def test_other_projects_and_deleted_issues_are_not_seen(
    app: Flask, client: FlaskClient, store: Store, issue_of: Callable[..., int]
) -> None:
    other_project = create_project(store, "Shop").id
    one, gone = issue_of(price(1), "one"), issue_of(price(2), "gone")
    foreign = issue_of(price(3), "foreign", other_project)
    assert ids(client, one) == [gone] and ids(client, foreign) == []
    with store.write() as conn:
        triage.delete(conn, [gone])
    assert ids(client, one) == []
    purge_deleted(store)
    assert ids(client, one) == []
    with store.read() as conn:
        assert set(conn.scalars(select(issue_similarity.c.issue_id))) == {one, foreign}
        assert set(conn.scalars(select(issue_terms.c.issue_id))) == {one, foreign}


def test_more_alike_comes_first_and_less_than_asked_for_is_left_out(
    client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    one = issue_of(price(), "one")
    near = issue_of(calls("total", type="KeyError", value="no price, no tax, nothing"), "near")
    far = issue_of(calls("refund", type="KeyError", value="no card of the customer"), "far")
    twin, _ = issue_of(price(7), "twin"), issue_of(rest(), "rest")
    assert ids(client, one, min_score=0.05) == [twin, near, far]
    assert ids(client, one, limit=1) == [twin]
    assert ids(client, one, min_score=0.99) == [twin]
    assert ids(client, one, min_score=1) == [twin]


@pytest.mark.one_database
def test_event_is_accepted_without_a_word_to_the_tables_of_likeness(
    app: Flask, store: Store
) -> None:
    asked: list[str] = []
    with store.write() as conn:  # The next write has the same connection.
        conn.connection.dbapi_connection.set_trace_callback(asked.append)
    insert(app, price())
    assert any("INSERT INTO events" in statement for statement in asked)
    assert not [
        statement for statement in asked if "likeness" in statement or "_terms" in statement
    ]


def test_background_loop_reads_a_bounded_number_in_a_turn_oldest_first(
    app: Flask, store: Store, issue_of: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.READ_PER_RUN", 2)
    made = [issue_of(price(n), f"price {n}") for n in range(3)]
    worker = worker_of(app)
    worker.run_once()
    with store.read() as conn:
        assert list(conn.scalars(select(issue_similarity.c.issue_id))) == made[:2]
    worker_of(app).run_once()  # Another one, while the first has the lease.
    assert count(store, issue_similarity) == 2
    worker.run_once()
    assert count(store, issue_similarity) == 3


def test_newer_rules_read_the_issues_again_by_themselves(
    client: FlaskClient, store: Store, issue_of: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = issue_of(price(1), "one"), issue_of(price(2), "other")
    assert ids(client, one) == [other]
    terms = count(store, issue_terms)
    monkeypatch.setattr(similarity_index, "VERSION", VERSION + 1)
    monkeypatch.setattr(similarity_index, "terms_of", lambda event: ("w:new",))
    assert read_unread(store, 100) == 2 and read_unread(store, 100) == 0
    with store.read() as conn:
        rows = conn.execute(select(issue_similarity.c.version, issue_similarity.c.terms)).all()
    assert [tuple(row) for row in rows] == [(VERSION + 1, "w:new")] * 2
    assert terms > 2 and count(store, issue_terms) == 2 and ids(client, one) == [other]
    # An older program beside this one leaves them as they are.
    monkeypatch.setattr(similarity_index, "VERSION", VERSION)
    assert read_unread(store, 100) == 0


def test_damaged_envelope_is_like_none_and_stops_no_other(
    client: FlaskClient, store: Store, issue_of: Callable[..., int]
) -> None:
    broken, one, other = (issue_of(price(n), f"price {n}") for n in range(3))
    with store.write() as conn:
        first = select(func.min(envelopes.c.id)).scalar_subquery()
        conn.execute(update(envelopes).where(envelopes.c.id == first).values(body=b"damaged"))
    assert ids(client, broken) == [] and ids(client, one) == [other]


def test_odd_events_are_compared_like_any_other(
    client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    made = [issue_of(payload, f"odd {n}") for n, payload in enumerate(odd_events())]
    for issue_id in made:
        assert issue_id not in ids(client, issue_id)


def test_busy_writer_delays_no_answer_and_what_is_there_is_compared(
    client: FlaskClient, store: Store, issue_of: Callable[..., int]
) -> None:
    one, other = issue_of(price(1), "one"), issue_of(price(2), "other")
    read_unread(store, 1)
    with store.write():
        answer = client.get(f"/api/issues/{other}/similar").json
    assert [row["id"] for row in answer["similar"]] == [one] and answer["complete"] is False
    read_unread(store, 1)
    answer = client.get(f"/api/issues/{one}/similar").json
    assert [row["id"] for row in answer["similar"]] == [other] and answer["complete"] is True


def test_issue_that_was_not_read_yet_is_said_to_be_being_compared(
    client: FlaskClient,
    login: Callable[[FlaskClient], FlaskClient],
    store: Store,
    issue_of: Callable[..., int],
) -> None:
    one, other = issue_of(price(1), "one"), issue_of(price(2), "other")
    answer = client.get(f"/api/issues/{one}/similar").json
    assert answer["similar"] == [] and answer["complete"] is False
    page = login(client).get(f"/admin/issues/{one}").text
    assert "being compared" in page and "is similar" not in page
    assert ids(client, one) == [other]
    assert "being compared" not in client.get(f"/admin/issues/{one}").text


def test_what_all_have_in_common_still_leads_to_the_newest(
    client: FlaskClient, issue_of: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.issues.similar.COMMON", 2)
    made = [issue_of(price(n), f"price {n}") for n in range(4)]
    with_limit = ids(client, made[0])
    assert with_limit == made[:0:-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [("min_score=2", "min_score"), ("min_score=nan", "min_score"), ("limit=0", "limit")],
)
def test_wrong_parameter_is_named(
    client: FlaskClient, issue_of: Callable[..., int], query: str, field: str
) -> None:
    answer = client.get(f"/api/issues/{issue_of(price(), 'one')}/similar?{query}")
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == field


@pytest.mark.parametrize("issue_id", [1, 10**30])
def test_unknown_issue_is_not_found(client: FlaskClient, issue_id: int) -> None:
    assert client.get(f"/api/issues/{issue_id}/similar").status_code == 404


def test_rows_are_found_by_index_however_many_there_are(
    client: FlaskClient, store: Store, issue_of: Callable[..., int]
) -> None:
    one = issue_of(price(1), "one")
    issue_of(price(2), "other")
    asked: list[tuple[str, Any]] = []

    def note(_conn: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if "issue_terms" in statement and statement.startswith(("SELECT", "WITH")):
            asked.append((statement, parameters))

    ids(client, one)
    sqlalchemy_event.listen(store._reader(), "before_cursor_execute", note)
    ids(client, one)
    assert len(asked) >= 2
    explain = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "
    with store.read() as conn:
        if not store.is_sqlite:  # It scans tables of a few rows wherever it may.
            conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in asked:
            plan = str(conn.exec_driver_sql(explain + statement, parameters).all())
            assert "SCAN issue_" not in plan and "Seq Scan" not in plan, plan


def test_issue_page_shows_what_was_known_of_the_like(
    admin_client: FlaskClient, store: Store, issue_of: Callable[..., int]
) -> None:
    old = issue_of(price() | {"release": "shop@1.0"}, "old")
    new, other = issue_of(price(2), "new"), issue_of(rest(), "rest")
    with store.write() as conn:
        triage.resolve(conn, [old], "ann")
        triage.comment(conn, old, "<b>the price list</b> was empty", "bob")
    read_unread(store, 100)
    page = " ".join(admin_client.get(f"/admin/issues/{new}").text.split())
    assert "Same error?" in page and f'href="/admin/issues/{old}"' in page
    assert "same function, module, type and message" in page
    assert "by ann in <code>shop@1.0</code>" in page
    assert "&lt;b&gt;the price list" in page
    page = admin_client.get(f"/admin/issues/{other}").text
    assert "No issue of this project is similar." in page
