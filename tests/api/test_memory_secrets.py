"""Secrets in a memory are neither stored nor embedded, and the answer names them."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.memory.tables import memories
from app.memory.vectors.embedder import EmbedderSource
from app.protocol.scrub import FILTERED
from tests.conftest import parts_of

PASSWORD = "k9Xm2Lq7Vb4T"
TOKEN = "gh" + "p_" + "a1B2" * 9
NOTE = f"the staging database: password={PASSWORD}, user shop"


def rows_of(app: Flask) -> str:
    with parts_of(app).store.read() as conn:
        return str(conn.execute(select(memories)).all())


def test_new_memory_is_stored_without_secrets_and_the_answer_names_them(
    app: Flask, client: FlaskClient
) -> None:
    body = {
        "content": NOTE,
        "user_id": "ada",
        "kind": "note",
        "tags": ["db", TOKEN],
        "metadata": {"password": PASSWORD, "seen": f"in {PASSWORD}", "n": 3},
    }
    answer = client.post("/memories", json=body)

    assert answer.status_code == 201
    kept = answer.json
    assert kept["content"] == f"the staging database: password={FILTERED}, user shop"
    assert kept["tags"] == ["db", FILTERED] and kept["kind"] == "note"
    assert kept["metadata"] == {"password": FILTERED, "seen": f"in {FILTERED}", "n": 3}
    assert {(entry["path"], entry["rule"]) for entry in kept["scrubbed"]} == {
        ("content", "pair"),
        ("tags[1]", "api_key"),
        ("metadata.password", "name"),
        ("metadata.seen", "copy"),
    }
    assert PASSWORD not in rows_of(app) and TOKEN not in rows_of(app)
    assert PASSWORD not in answer.text and TOKEN not in answer.text


def test_replaced_memory_is_stored_without_secrets(app: Flask, client: FlaskClient) -> None:
    first = client.post("/memories", json={"content": "tea", "user_id": "ada"}).json
    answer = client.put(f"/memories/{first['id']}?user_id=ada", json={"content": NOTE})

    assert answer.status_code == 200
    assert answer.json["scrubbed"] == [{"path": "content", "rule": "pair"}]
    assert PASSWORD not in rows_of(app)


def test_secret_reaches_no_embedder_when_it_is_stored(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: list[str] = []
    real = EmbedderSource.get

    class Noting:
        def __init__(self, embedder: object) -> None:
            self._embedder = embedder

        def embed(self, texts: list[str]) -> object:
            embedded.extend(texts)
            return self._embedder.embed(texts)  # type: ignore[attr-defined]

        def __getattr__(self, name: str) -> object:
            return getattr(self._embedder, name)

    monkeypatch.setattr(EmbedderSource, "get", lambda source: Noting(real(source)))
    client.post("/memories", json={"content": NOTE, "user_id": "ada"})

    assert embedded == [f"the staging database: password={FILTERED}, user shop"]


def test_notes_that_differ_in_their_secret_alone_are_one_memory(client: FlaskClient) -> None:
    first = client.post("/memories", json={"content": NOTE, "user_id": "ada"})
    second = client.post(
        "/memories", json={"content": NOTE.replace(PASSWORD, "other7Pass9word"), "user_id": "ada"}
    )

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json["id"] == first.json["id"]


def test_memory_without_secrets_stays_as_it_is(client: FlaskClient) -> None:
    body = {
        "content": "order 4539148803436467, code E1204",
        "tags": ["a"],
        "metadata": {"auth": "ldap"},
    }
    kept = client.post("/memories", json={"user_id": "ada", **body}).json

    assert kept["scrubbed"] == []
    assert {name: kept[name] for name in body} == body


def test_long_tag_is_cut_to_what_a_tag_may_be(client: FlaskClient) -> None:
    tag = "x" * 44 + " token=k9Xm2L7"
    kept = client.post("/memories", json={"content": "tea", "user_id": "ada", "tags": [tag]}).json

    assert len(tag) <= 64 and "k9Xm2L7" not in kept["tags"][0] and len(kept["tags"][0]) <= 64
