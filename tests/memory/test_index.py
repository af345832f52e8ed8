"""An index beside SQL: whatever it does or loses, SQL tells what is there, and it catches up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.memory import pending
from app.memory.service import Memories
from app.memory.tables import memories, memory_removals
from app.memory.task import MemoryTask
from app.memory.upkeep import Upkeep
from app.memory.vectors.embedder import EmbedderSource
from app.memory.vectors.errors import IndexRejected, IndexUnavailable
from app.store import utc_now
from tests.conftest import parts_of
from tests.stub_index import FlakyIndex

DOWN = IndexUnavailable("the index does not answer: start it, or look at its address", 7)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> FlakyIndex:
    made = FlakyIndex()
    monkeypatch.setattr(
        Memories,
        "of",
        classmethod(
            lambda cls, store, config, scrubber: cls(store, EmbedderSource(), made, scrubber)
        ),
    )
    return made


@pytest.fixture
def app(index: FlakyIndex, make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def upkeep(app: Flask) -> Upkeep:
    return Upkeep(parts_of(app).memories)


def keep(client: FlaskClient, content: str, user_id: str = "ada", **more: Any) -> dict[str, Any]:
    answer = client.post("/memories", json={"content": content, "user_id": user_id, **more})
    assert answer.status_code in (200, 201), answer.text
    kept: dict[str, Any] = answer.json
    return kept


def search(client: FlaskClient, query: str = "tea", user_id: str = "ada") -> Any:
    # Keywords need no index, so they would find what it lacks.
    body = {"query": query, "user_id": user_id, "mode": "vector"}
    return client.post("/memories/search", json=body)


def found(client: FlaskClient, query: str = "tea", user_id: str = "ada") -> list[str]:
    return [result["content"] for result in search(client, query, user_id).json["results"]]


def reopened(app: Flask) -> None:
    """As if the moment was over for which a failed index is left alone."""
    parts_of(app).memories.gate._closed_until = float("-inf")


def held(index: FlakyIndex) -> set[str]:
    return set(index.points or {})


def stored(app: Flask) -> set[str]:
    with parts_of(app).store.read() as conn:
        return set(conn.scalars(select(memories.c.id)))


def past_settling(app: Flask) -> None:
    with parts_of(app).store.write() as conn:
        conn.execute(update(memory_removals).values(removed_at=utc_now() - timedelta(minutes=1)))


def test_memory_is_put_found_and_taken_out(client: FlaskClient, index: FlakyIndex) -> None:
    kept = keep(client, "tea without sugar", kind="taste")
    assert kept["indexed"] is True and held(index) == {kept["id"]}
    assert keep(client, "tea without sugar.")["duplicate_of"] == kept["id"]
    assert found(client, "tea without sugar")[0] == "tea without sugar"
    assert client.delete(f"/memories/{kept['id']}?user_id=ada", json={}).status_code == 204
    assert kept["id"] not in held(index)
    keep(client, "the bus", "bob")
    assert client.delete("/memories?user_id=ada", json={}).json == {"deleted": 1}
    assert len(held(index)) == 1 and found(client, "bus", "bob") == ["the bus"]


def test_index_that_is_down_costs_no_memory_and_catches_up(
    app: Flask, client: FlaskClient, index: FlakyIndex, upkeep: Upkeep
) -> None:
    first = keep(client, "tea")
    index.failure = DOWN
    kept = keep(client, "coffee")
    assert kept["indexed"] is False and kept["duplicate_of"] is None
    assert client.get(f"/memories/{kept['id']}?user_id=ada").json["indexed"] is False
    assert client.delete(f"/memories/{first['id']}?user_id=ada", json={}).status_code == 204
    assert MemoryTask(parts_of(app).store, "me", lambda: parts_of(app).memories).run_once()
    index.failure = None
    past_settling(app)
    upkeep.work()
    assert held(index) == stored(app) == {kept["id"]}
    assert client.get(f"/memories/{kept['id']}?user_id=ada").json["indexed"] is True
    # Asked by the background, so that requests need not wait until they may ask again.
    assert found(client) == ["coffee"]


def test_search_of_an_index_that_is_down_says_so_once_and_then_at_once(
    app: Flask, client: FlaskClient, index: FlakyIndex
) -> None:
    keep(client, "tea")
    index.failure, index.calls = DOWN, []
    answers = [search(client) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert answers[0].headers["Retry-After"] == "7" and int(answers[2].headers["Retry-After"]) <= 7
    assert "look at its address" in answers[2].json["detail"]
    assert index.calls == ["search"]
    # One failure is one event, which the answers after it name.
    events = client.get("/api/events").json["events"]
    assert {answer.json["event_id"] for answer in answers} == {events[0]["event_id"]}
    assert len(events) == 1
    index.failure = None
    reopened(app)
    assert found(client) == ["tea"]


def test_event_of_a_failure_has_its_context_and_nothing_of_the_memory(
    make_app: Callable[..., Flask], index: FlakyIndex
) -> None:
    client = make_app(SENTRY_SEND_PII=True).test_client()
    index.failure = IndexRejected("the index refuses the key: set QDRANT_API_KEY")
    keep(client, "hush, this is private", metadata={"hush": "hush"})
    event_id = client.get("/api/events").json["events"][0]["event_id"]
    event = client.get(f"/api/events/{event_id}").json
    assert event["user"]["id"] == "ada" and event["tags"]["memory.operation"] == "add"
    assert event["contexts"]["memory"]["operation"] == "add"
    assert [crumb["category"] for crumb in event["breadcrumbs"]][0] == "memory"
    raw = client.get(f"/api/events/{event_id}?raw=1").text
    assert "IndexRejected" in raw and "hush" not in raw


def test_index_that_lost_its_points_is_filled_again(
    app: Flask, client: FlaskClient, index: FlakyIndex, upkeep: Upkeep
) -> None:
    for n in range(3):
        keep(client, f"note {n}")
    index.points = None  # As after a lost volume.
    assert found(client, "note") == [] and search(client, "note").json["waiting"] == 0
    upkeep.work()
    assert held(index) == stored(app) and len(found(client, "note")) == 3
    # And one that lost some of them is noticed by its count.
    assert index.points is not None
    index.points.popitem()
    upkeep._counts_at = float("-inf")
    upkeep.work()
    upkeep.work()
    assert held(index) == stored(app)


def test_another_index_is_filled_by_itself(
    app: Flask, client: FlaskClient, index: FlakyIndex, upkeep: Upkeep
) -> None:
    keep(client, "tea")
    index.identity, index.points = "flaky:2", None
    assert search(client).json == {"results": [], "waiting": 1, "problem": None}
    upkeep.work()
    assert found(client) == ["tea"]


def test_what_an_index_still_has_is_not_found_when_sql_has_not(
    app: Flask, client: FlaskClient, index: FlakyIndex
) -> None:
    kept = keep(client, "tea")
    assert index.points is not None
    ghost = index.points[kept["id"]]
    keep(client, "tea", "bob")
    client.delete("/memories?user_id=ada", json={})
    index.points[ghost.id] = ghost
    # Nor under another user's name, which an index could mix up.
    bobs = next(point for point in index.points.values() if point.user_id == "bob")
    index.points[bobs.id] = bobs._replace(user_id="ada")
    assert found(client) == []


def test_removal_overtaken_by_a_new_write_of_the_same_content(
    app: Flask, client: FlaskClient, index: FlakyIndex, upkeep: Upkeep
) -> None:
    id = keep(client, "tea")["id"]
    client.delete(f"/memories/{id}?user_id=ada", json={})
    assert keep(client, "tea")["id"] == id
    past_settling(app)
    upkeep.work()
    assert held(index) == {id} and found(client) == ["tea"]
    with parts_of(app).store.read() as conn:
        assert conn.execute(select(memory_removals)).all() == []


def test_put_that_came_after_a_removal_is_removed_again(
    app: Flask, client: FlaskClient, index: FlakyIndex, upkeep: Upkeep
) -> None:
    id = keep(client, "tea")["id"]
    with parts_of(app).store.read() as conn:
        row = pending.find_point(conn, id)
    client.delete(f"/memories/{id}?user_id=ada", json={})
    index.put([pending.point_of(row)])
    with parts_of(app).store.write() as conn:
        assert pending.mark(conn, index.identity, [(id, row.version)]) == 0
    past_settling(app)
    upkeep.work()
    assert held(index) == set()


def test_older_version_put_after_a_newer_one_is_put_right(
    app: Flask, client: FlaskClient, index: FlakyIndex, upkeep: Upkeep
) -> None:
    id = keep(client, "tea")["id"]
    with parts_of(app).store.read() as conn:
        old = pending.find_point(conn, id)
    client.put(f"/memories/{id}?user_id=ada", json={"content": "the bus is late"})
    index.put([pending.point_of(old)])
    with parts_of(app).store.write() as conn:
        assert pending.mark(conn, index.identity, [(id, old.version)]) == 0
    upkeep.work()
    [result] = search(client, "the bus is late").json["results"]
    assert result["score"] == 1 and index.points is not None
    assert index.points[id].vector.tobytes() != old.vector


def test_expired_memories_are_swept_from_both(
    app: Flask, client: FlaskClient, index: FlakyIndex, upkeep: Upkeep
) -> None:
    keep(client, "tea")
    kept = keep(client, "coffee")
    with parts_of(app).store.write() as conn:
        gone = memories.c.id != kept["id"]
        conn.execute(update(memories).where(gone).values(expires_at=utc_now()))
    upkeep.work()
    assert stored(app) == {kept["id"]}
    past_settling(app)
    upkeep.work()
    assert held(index) == {kept["id"]}


def test_reindex_makes_the_index_anew_and_says_how_much(
    app: Flask, client: FlaskClient, index: FlakyIndex
) -> None:
    for n in range(3):
        keep(client, f"note {n}")
    assert index.points is not None
    id, point = index.points.popitem()
    ghost = "00000000-0000-0000-0000-000000000000"
    index.points[ghost] = point._replace(id=ghost)
    answer = app.test_cli_runner().invoke(args=["memory", "reindex"])
    assert answer.exit_code == 0, answer.output
    assert "3 memories: 0 embedded anew, 3 put into the index" in answer.output
    assert held(index) == stored(app)
    index.failure = DOWN
    answer = app.test_cli_runner().invoke(args=["memory", "reindex"])
    assert answer.exit_code == 1 and "look at its address" in answer.output
