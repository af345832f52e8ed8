"""The memory service on Qdrant: whatever that does, SQL keeps everything, nothing else notices, and
afterwards both agree, without a restart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.memory.gate import Gate
from app.memory.tables import memories
from app.memory.upkeep import Upkeep
from app.memory.vectors import watch
from app.memory.vectors.errors import IndexUnavailable
from app.memory.vectors.index import Space
from app.web import health
from tests.conftest import parts_of
from tests.fake_qdrant import FakeQdrant
from tests.fake_qdrant.moods import Mood, answers, dropping, html, refuses, silent
from tests.stub_index import FlakyIndex

KEY = "k3y-of-qdrant"
MOODS: dict[str, Mood] = {
    "silent": silent,
    "dropping": dropping,
    "401": answers(401, b"Invalid API key or JWT"),
    "429": refuses(429, "Too many requests", {"Retry-After": "1"}),
    "500": refuses(500, "Service internal error"),
    "html": html(200),
    "wrong shape": answers(200, {"result": {"points": {}}, "status": "ok", "time": 0.0}),
}


@pytest.fixture
def qdrant() -> Iterator[FakeQdrant]:
    with FakeQdrant(api_key=KEY) as server:
        yield server


@pytest.fixture
def app(
    qdrant: FakeQdrant, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> Flask:
    monkeypatch.setattr(watch, "FRESH_S", 0)
    monkeypatch.setattr(health, "CACHE_S", 0)
    return make_app(QDRANT_URL=qdrant.url, QDRANT_API_KEY=KEY, QDRANT_TIMEOUT_S=0.5)


def keep(client: FlaskClient, content: str, user_id: str = "ada") -> dict[str, Any]:
    answer = client.post("/memories", json={"content": content, "user_id": user_id})
    assert answer.status_code == 201, answer.text
    kept: dict[str, Any] = answer.json
    return kept


def search(client: FlaskClient, user_id: str = "ada") -> Any:
    body = {"query": "tea", "user_id": user_id, "mode": "vector"}
    return client.post("/memories/search", json=body)


def word_of_health(app: Flask, client: FlaskClient) -> str:
    parts_of(app).memories.watch.see(wait_s=10)
    answer = client.get("/health")
    assert answer.status_code == client.get("/health/ready").status_code == 200
    word: str = answer.json["checks"]["vectors"]
    return word


def stored(app: Flask) -> dict[str, str]:
    with parts_of(app).store.read() as conn:
        return {row.id: row.user_id for row in conn.execute(select(memories))}


def held(qdrant: FakeQdrant) -> dict[str, str]:
    return {id: payload["user_id"] for id, payload in qdrant.points().items()}


def test_whatever_qdrant_does_memories_are_kept_and_nothing_else_notices(
    app: Flask, client: FlaskClient, qdrant: FakeQdrant
) -> None:
    upkeep, gate = Upkeep(parts_of(app).memories), parts_of(app).memories.gate
    gone = keep(client, "tea, of all things")["id"]
    for number, (name, mood) in enumerate(MOODS.items()):
        qdrant.mood = mood
        kept = keep(client, f"tea number {number}")
        assert kept["indexed"] is False, name
        assert client.delete(f"/memories/{gone}?user_id=ada", json={}).status_code == 204, name
        gone = kept["id"]
        gate._closed_until = float("-inf")
        answer = search(client)
        assert (answer.status_code, answer.mimetype) == (503, "application/problem+json"), name
        assert int(answer.headers["Retry-After"]) >= 1, name
        assert "Qdrant" in answer.json["detail"] or "QDRANT" in answer.json["detail"], name
        raw = client.get(f"/api/events/{answer.json['event_id']}?raw=1").text
        assert "Index" in raw and KEY not in raw, name
        assert word_of_health(app, client) == "warn", name
        assert client.post("/test-error", json={"error_type": "message", "message": "m"}).json
        assert client.get("/api/issues").status_code == 200
        assert client.get("/metrics").text.count("devenviro_index_up 0") == 1, name
        qdrant.mood = None
        upkeep.work()  # What the background does every few seconds.
        assert word_of_health(app, client) == "pass", name
        assert search(client).json["results"][0]["content"] == f"tea number {number}", name
    upkeep_removes_what_was_deleted(app, upkeep)
    assert held(qdrant) == stored(app) and len(stored(app)) == 1


def upkeep_removes_what_was_deleted(app: Flask, upkeep: Upkeep) -> None:
    from tests.memory.test_index import past_settling

    past_settling(app)
    upkeep.work()


def test_restarted_and_emptied_qdrant_is_filled_by_itself(
    app: Flask, client: FlaskClient, qdrant: FakeQdrant
) -> None:
    keep(client, "tea without sugar")
    keep(client, "tea at five", "bob")
    qdrant.stop()
    assert keep(client, "tea with milk")["indexed"] is False
    qdrant.contract.wipe()
    qdrant.start()
    Upkeep(parts_of(app).memories).work()
    assert held(qdrant) == stored(app) and len(stored(app)) == 3
    assert len(search(client).json["results"]) == 2
    assert client.delete("/memories?user_id=ada", json={}).json == {"deleted": 2}
    assert set(held(qdrant).values()) == {"bob"}


def test_status_tells_host_and_counts_and_no_key(
    app: Flask, client: FlaskClient, qdrant: FakeQdrant
) -> None:
    qdrant.mood = refuses(503, "no")
    keep(client, "tea")
    parts_of(app).memories.watch.see(wait_s=10)
    answer = client.get("/system/status")
    vectors = answer.json["vectors"]
    assert (vectors["index"], vectors["host"]) == ("qdrant", qdrant.url.partition("//")[2])
    assert (vectors["ok"], vectors["problem"]) == (False, "Qdrant answered 503: its log says why")
    assert (vectors["memories"], vectors["waiting"], vectors["to_remove"]) == (1, 1, 0)
    assert KEY not in answer.text
    assert "devenviro_memories_waiting 1" in client.get("/metrics").text


def test_server_of_another_time_is_a_warning_and_used_all_the_same(
    app: Flask, client: FlaskClient, qdrant: FakeQdrant
) -> None:
    qdrant.contract.version = "1.12.0"
    assert keep(client, "tea")["indexed"] is True
    assert word_of_health(app, client) == "warn"
    parts_of(app).memories.watch.see(wait_s=10)
    vectors = client.get("/system/status").json["vectors"]
    assert vectors["ok"] is True and "1.19 to 1.21 is expected" in vectors["problem"]


def test_without_qdrant_there_is_no_such_check_and_nobody_to_ask(
    make_app: Callable[..., Flask],
) -> None:
    client = make_app().test_client()
    assert "vectors" not in client.get("/health").json["checks"]
    vectors = client.get("/system/status").json["vectors"]
    assert (vectors["host"], vectors["ok"], vectors["version"]) == (None, True, None)
    assert "devenviro_index_up" not in client.get("/metrics").text


def test_who_waited_for_a_collection_that_could_not_be_made_does_not_try_again() -> None:
    index, entered, release = FlakyIndex(), threading.Event(), threading.Event()

    def prepare(space: Space) -> bool:
        index.calls.append("prepare")
        entered.set()
        release.wait(10)
        raise IndexUnavailable("late")

    index.prepare = prepare  # type: ignore[method-assign]
    gate = Gate(index, lambda: None)
    failed: list[str] = []

    def call() -> None:
        with pytest.raises(IndexUnavailable) as caught:
            gate.call("search", Space("m", 2), lambda: None)
        failed.append(str(caught.value))

    threads = [threading.Thread(target=call) for _ in range(4)]
    threads[0].start()
    assert entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    release.set()
    for thread in threads:
        thread.join()
    assert failed == ["late"] * 4
    assert index.calls == ["prepare"]
