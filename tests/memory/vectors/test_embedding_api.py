"""An embedding API over real HTTP: what it is asked, and every failure in words."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from app.memory.vectors import embedding_api
from app.memory.vectors.embedder import EmbedderSource, EmbeddingApi, embed
from app.memory.vectors.embedding_api import ApiEmbedder
from app.memory.vectors.errors import EmbedderUnavailable
from tests.fake_embedding_api import FakeEmbeddingApi, vector
from tests.fake_qdrant.moods import Mood, answers, cut, dripping, dropping, html, silent

KEY = "s3cret-key"
TEXT = "tea without sugar"


@pytest.fixture
def api() -> Iterator[FakeEmbeddingApi]:
    with FakeEmbeddingApi() as fake:
        yield fake


Make = Callable[..., ApiEmbedder]


@pytest.fixture
def embedder_of() -> Iterator[Make]:
    """Make embedders that ask a fake."""
    made: list[ApiEmbedder] = []

    def make(api: FakeEmbeddingApi, **more: Any) -> ApiEmbedder:
        made.append(ApiEmbedder(EmbeddingApi(api.url, "words", api.dims, **{"key": KEY} | more)))
        return made[-1]

    yield make
    for embedder in made:
        embedder.close()


def rows(*vectors: Any) -> Mood:
    data = [{"index": n, "embedding": row} for n, row in enumerate(vectors)]
    return answers(200, {"data": data})


def test_texts_are_asked_for_in_batches_and_answered_in_their_order(
    api: FakeEmbeddingApi, embedder_of: Make
) -> None:
    texts = [f"note {n}" for n in range(70)]
    found = embed(embedder_of(api), texts)  # The fake answers in the opposite order.
    assert [len(request["input"]) for request in api.requests] == [32, 32, 6]
    assert api.requests[0]["model"] == "words" and api.requests[0]["dimensions"] == 64
    assert set(api.keys) == {f"Bearer {KEY}"} and found.tokens == 140
    expected = np.array([vector(text) for text in texts])
    assert np.allclose(found.vectors, expected / np.linalg.norm(expected, axis=1)[:, None])
    long = ["x" * 32_000] * 5
    embed(embedder_of(api), long)
    assert [len(request["input"]) for request in api.requests[3:]] == [3, 2]


def test_api_without_a_key_gets_none(api: FakeEmbeddingApi, embedder_of: Make) -> None:
    embed(embedder_of(api, key=None), [TEXT])
    assert api.keys == [None]


@pytest.mark.parametrize(
    ("mood", "words", "wait_s"),
    [
        (answers(401, {"error": {"message": KEY}}), "set EMBEDDER_API_KEY", 30),
        (answers(403, {}), "no right to the model", 30),
        (answers(404, {"error": {"code": "model_not_found"}}), "correct EMBEDDER_MODEL", 30),
        (answers(429, {}, {"Retry-After": "20"}), "too much to do", 20),
        (answers(429, {}, {"Retry-After": "soon"}), "too much to do", 5),
        (answers(429, {}, {"Retry-After": "99999"}), "too much to do", 300),
        (answers(400, {"error": {"message": TEXT}}), r"refuses what it was asked \(400\)", 30),
        (answers(422, {"detail": TEXT}), r"\(422\)", 30),
        (answers(400, {"error": {"code": "bad_thing"}}), r"\(400, bad_thing\)", 30),
        (answers(400, {"error": {"code": TEXT}}), r"\(400\)", 30),
        (answers(418, {}), r"refuses the request \(418\)", 30),
        (html(502), "answered 502", 5),
        (answers(503, {}, {"Retry-After": "7"}), "answered 503", 7),
        (answers(307, b"", {"Location": "http://127.0.0.1:9/v1"}), "leads elsewhere", 30),
        (dropping, "broke the connection off", 5),
        (cut, "broke the connection off", 5),
        (silent, "did not answer in time", 5),
        (dripping, "did not answer in time", 5),
        (html(200), "does not answer as an embedding API", 30),
        (answers(200, b""), "does not answer as an embedding API", 30),
        (answers(200, b"[" * 60_000), "does not answer as an embedding API", 30),
        (answers(200, []), "does not answer as an embedding API", 30),
        (answers(200, {"data": [{"index": 0}]}), "does not answer as an embedding API", 30),
        (rows("AACAPw=="), "does not answer as an embedding API", 30),
        (rows(["1"] * 64), "does not answer as an embedding API", 30),
        (rows([float("nan")] * 64), "does not answer as an embedding API", 30),
        (rows([10**400] * 64), "does not answer as an embedding API", 30),
        (rows([1.0] * 63), "vectors of 63 dimensions, and EMBEDDER_DIMS says 64", 30),
        (rows([1.0] * 64, [1.0] * 64), "one vector for each of 1 texts", 30),
        (rows(), "one vector for each of 1 texts", 30),
        (answers(200, {"data": [{"index": 1, "embedding": [1.0] * 64}]}), "one vector for", 30),
        (answers(200, b"x" * 100_000), "does EMBEDDER_DIMS fit", 30),
        (answers(200, b"x", {"Content-Encoding": "gzip"}), "does not answer as an", 30),
    ],
)
def test_every_failure_is_named_and_neither_key_nor_text_is_said(
    api: FakeEmbeddingApi,
    embedder_of: Make,
    caplog: pytest.LogCaptureFixture,
    mood: Mood,
    words: str,
    wait_s: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    api.mood = mood
    timeout_s = 0.2 if mood in (silent, dripping) else 30.0
    embedder = embedder_of(api, timeout_s=timeout_s)
    with pytest.raises(EmbedderUnavailable, match=words) as caught:
        embed(embedder, [TEXT])
    assert caught.value.retry_after_s == wait_s
    assert embedder.failure == str(caught.value)
    assert KEY not in caplog.text and TEXT not in caplog.text + str(caught.value)
    # For this time nothing is asked, and the answer says the same.
    asked = len(api.requests)
    with pytest.raises(EmbedderUnavailable, match=words) as echo:
        embed(embedder, [TEXT])
    assert len(api.requests) == asked <= 4 and echo.value.__cause__ is not None
    api.mood = None
    embedder._pause.until = float("-inf")
    assert embed(embedder, [TEXT]).tokens == 2 and embedder.failure is None


def test_redirect_is_not_followed_and_its_target_gets_no_key(
    api: FakeEmbeddingApi, embedder_of: Make
) -> None:
    with FakeEmbeddingApi() as other:
        api.mood = answers(308, b"", {"Location": f"{other.url}/embeddings"})
        with pytest.raises(EmbedderUnavailable, match="leads elsewhere"):
            embed(embedder_of(api), [TEXT])
        assert other.requests == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/v1", "nobody listens at EMBEDDER_URL"),
        ("http://nowhere.invalid/v1", "the name in EMBEDDER_URL cannot be resolved"),
    ],
)
def test_wrong_address_is_named(url: str, words: str) -> None:
    with pytest.raises(EmbedderUnavailable, match=words):
        embed(ApiEmbedder(EmbeddingApi(url, "words", 3)), [TEXT])


def test_model_with_fixed_dimensions_is_asked_without_them(embedder_of: Make) -> None:
    with FakeEmbeddingApi(takes_dims=False) as api:
        embedder = embedder_of(api)
        for _ in range(2):
            embed(embedder, [TEXT])
        assert ["dimensions" in request for request in api.requests] == [True, False, False]


def test_text_that_is_too_long_for_the_model_is_shortened_and_holds_up_no_other(
    embedder_of: Make,
) -> None:
    with FakeEmbeddingApi(max_characters=4_000) as api:
        long = "tea " * 4_000
        found = embed(embedder_of(api), ["the bus", long, "a walk"])
        assert np.allclose(found.vectors[1], vector("tea"))
        assert np.allclose(found.vectors[2] @ embed(embedder_of(api), ["a walk"]).vectors[0], 1)
        # And one that no length makes acceptable has no vector.
        api.max_characters = 10
        found = embed(embedder_of(api), ["the bus", long])
        assert found.vectors[0].any() and not found.vectors[1].any()


def test_only_some_threads_wait_for_the_api(
    api: FakeEmbeddingApi, embedder_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_api, "SLOT_WAIT_S", 0.0)
    embedder = embedder_of(api)
    for _ in range(embedding_api.MAX_CALLS):
        assert embedder._slots.acquire(blocking=False)
    with pytest.raises(EmbedderUnavailable, match="too many calls"):
        embed(embedder, [TEXT])
    assert api.requests == []


def test_proxy_is_used_for_https_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://us%40er:pass@127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    proxy = embedding_api._proxy_for("https://api.example.org/v1")
    assert proxy is not None and proxy.auth == (b"us@er", b"pass")
    assert embedding_api._proxy_for("http://ollama:11434/v1") is None
    monkeypatch.setenv("no_proxy", "example.org")
    assert embedding_api._proxy_for("https://api.example.org/v1") is None
    monkeypatch.delenv("no_proxy")
    with pytest.raises(EmbedderUnavailable, match="cannot be reached|nobody listens"):
        embed(ApiEmbedder(EmbeddingApi("https://api.example.org/v1", "words", 3)), [TEXT])


def test_other_dimensions_of_a_model_are_another_space() -> None:
    spaces = {EmbeddingApi("http://a", "words", dims).space for dims in (3, 4)}
    assert len({space.model for space in spaces}) == 2
    source = EmbedderSource(EmbeddingApi("http://a", "words", 3, KEY))
    assert source.space is not None and source.space.model == "words@3"
    assert KEY not in repr(source._setting) and json.dumps(source.space)
