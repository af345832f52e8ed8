"""An embedding API that does not answer: memories are stored, and get their vectors later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.memory.upkeep import Upkeep
from app.memory.vectors.errors import EmbedderUnavailable
from tests.conftest import parts_of
from tests.fake_embedding_api import FakeEmbeddingApi
from tests.fake_qdrant.moods import answers

DOWN = answers(503, {"error": {"message": "busy"}})


@pytest.fixture
def api() -> Iterator[FakeEmbeddingApi]:
    with FakeEmbeddingApi() as fake:
        yield fake


@pytest.fixture
def app(api: FakeEmbeddingApi, make_app: Callable[..., Flask]) -> Iterator[Flask]:
    made = make_app(**api.settings)
    yield made
    closed(made)


def closed(app: Flask) -> None:
    embedder: Any = parts_of(app).memories.embedders._embedder
    if embedder is not None:
        embedder.close()


def again(app: Flask, api: FakeEmbeddingApi) -> None:
    """Let the API answer, as if the time was over for which it is not asked."""
    api.mood = None
    embedder: Any = parts_of(app).memories.embedders._embedder
    embedder._pause.until = float("-inf")


def keep(client: FlaskClient, content: str, **more: Any) -> Any:
    answer = client.post("/memories", json={"content": content, "user_id": "ada", **more})
    assert answer.status_code in (200, 201), answer.text
    return answer.json


def found(client: FlaskClient, query: str, **more: Any) -> list[str]:
    body = {"query": query, "user_id": "ada", "limit": 1, **more}
    answer = client.post("/memories/search", json=body)
    assert answer.status_code == 200, answer.text
    return [result["content"] for result in answer.json["results"]]


def test_memories_are_embedded_and_found_by_the_api(
    client: FlaskClient, api: FakeEmbeddingApi
) -> None:
    assert keep(client, "tea without sugar")["indexed"] is True
    keep(client, "the bus is late")
    assert found(client, "late bus") == ["the bus is late"]
    assert keep(client, "late is the bus")["duplicate_of"] is not None


def test_memory_that_is_stored_meanwhile_gets_its_vector_later(
    app: Flask, client: FlaskClient, api: FakeEmbeddingApi
) -> None:
    first = keep(client, "tea without sugar")
    api.mood = DOWN
    stored = keep(client, "the bus is late")
    assert (stored["indexed"], stored["duplicate_of"]) == (False, None)
    address = f"/memories/{stored['id']}?user_id=ada"
    assert client.get(address).json["indexed"] is False
    # What has a vector keeps it, if its content stays; a new content waits.
    assert keep(client, "tea without sugar", kind="taste")["indexed"] is True
    changed = client.patch(address, json={"tags": ["way"]})
    assert (changed.status_code, changed.json["indexed"]) == (200, False)
    other = client.patch(f"/memories/{first['id']}?user_id=ada", json={"content": "green tea"})
    assert (other.status_code, other.json["indexed"]) == (200, False)
    # One failure is one event, whatever is stored after it.
    assert len(client.get("/api/events").json["events"]) == 1
    state = client.get("/system/status").json["vectors"]
    assert state["to_embed"] == 2 and "answered 503" in state["embedder_problem"]
    upkeep = Upkeep(parts_of(app).memories)
    with pytest.raises(EmbedderUnavailable):
        upkeep.work()
    again(app, api)
    asked = len(api.requests)
    upkeep.work()
    assert len(api.requests) == asked + 1
    assert found(client, "late bus") == ["the bus is late"]
    assert found(client, "green tea") == ["green tea"]
    state = client.get("/system/status").json["vectors"]
    assert (state["to_embed"], state["embedder_problem"]) == (0, None)


def test_search_meanwhile_is_by_keywords_and_says_why(
    client: FlaskClient, api: FakeEmbeddingApi
) -> None:
    keep(client, "ticket PAY-1042 is open", metadata={"n": 1})
    keep(client, "ticket PAY-1042 is not closed", metadata={"n": 2})
    api.mood = DOWN
    filters = {"field": "metadata.n", "lt": 2}
    body = {"query": "pay-1042", "user_id": "ada", "filters": filters}
    answer = client.post("/memories/search", json=body).json
    [hit] = answer["results"]
    assert (hit["content"], hit["found_by"]) == ("ticket PAY-1042 is open", ["keywords"])
    assert answer["problem"].startswith("searched by keywords only: ")
    assert "answered 503" in answer["problem"] and hit["score"] == 1
    by_meaning = client.post("/memories/search", json=body | {"mode": "vector"})
    assert by_meaning.status_code == 503 and "answered 503" in by_meaning.json["detail"]
    by_words = client.post("/memories/search", json=body | {"mode": "keyword"}).json
    assert (by_words["results"], by_words["problem"]) == (answer["results"], None)
    # One failure is one event, whoever searches after it.
    assert len(client.get("/api/events").json["events"]) == 1


def test_vectors_of_other_dimensions_are_made_anew_and_never_compared(
    app: Flask, client: FlaskClient, api: FakeEmbeddingApi, make_app: Callable[..., Flask]
) -> None:
    keep(client, "tea without sugar")
    other = make_app(**api.settings | {"EMBEDDER_DIMS": 32})
    body = {"query": "tea", "user_id": "ada"}
    answer = other.test_client().post("/memories/search", json=body).json
    assert answer["waiting"] == 1
    runner = other.test_cli_runner()
    assert "1 memories: 1 embedded anew" in runner.invoke(args=["memory", "reindex"]).output
    assert found(other.test_client(), "tea") == ["tea without sugar"]
    closed(other)


def test_no_secret_is_sent_to_the_api(
    app: Flask, client: FlaskClient, api: FakeEmbeddingApi
) -> None:
    secret = "hunter2-hunter2"
    keep(client, f"log in with password={secret}")
    found(client, f"password={secret}")
    [stored] = client.get("/memories?user_id=ada").json["memories"]
    client.patch(f"/memories/{stored['id']}?user_id=ada", json={"content": f"token={secret}"})
    assert len(api.texts) == 3 and not any(secret in text for text in api.texts)
