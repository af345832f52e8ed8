"""Memories changed in part and stored in batches by the API, and the history of their changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from app.memory import records, user_counts
from app.memory.tables import memories, memory_changes
from app.memory.upkeep import Upkeep
from app.memory.vectors.embedder import EmbedderSource
from app.store import utc_now
from tests.conftest import parts_of

TEA = "Ada takes her tea without sugar"


def keep(client: FlaskClient, content: str = TEA, user_id: str = "ada", **more: Any) -> Any:
    answer = client.post("/memories", json={"content": content, "user_id": user_id, **more})
    assert answer.status_code in (200, 201), answer.text
    return answer.json


def patch(client: FlaskClient, id: str, user_id: str = "ada", **changes: Any) -> Any:
    return client.patch(f"/memories/{id}?user_id={user_id}", json=changes)


def batch(client: FlaskClient, *items: Any) -> list[dict[str, Any]]:
    answer = client.post("/memories/batch", json={"memories": list(items)})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json["results"]
    assert [result["index"] for result in results] == list(range(len(items)))
    return results


# ---- PATCH --------------------------------------------------------------------------------------


def test_patch_changes_the_given_fields_and_no_other(client: FlaskClient) -> None:
    kept = keep(client, kind="taste", tags=["tea"], metadata={"cups": 2})
    answer = patch(client, kept["id"], tags=["tea", "tea", "hot"])
    assert (answer.status_code, answer.json["tags"]) == (200, ["tea", "hot"])
    assert (answer.json["kind"], answer.json["metadata"]) == ("taste", {"cups": 2})
    assert answer.json["content"] == TEA and answer.json["indexed"] is True
    assert answer.json["created_at"] == kept["created_at"] < answer.json["updated_at"]
    moved = patch(client, kept["id"], content="the bus is late", kind=None)
    assert (moved.json["id"], moved.json["kind"]) == (kept["id"], None)
    body = {"query": "public transport delayed", "user_id": "ada", "limit": 1}
    [best] = client.post("/memories/search", json=body).json["results"]
    assert best["content"] == "the bus is late" and best["tags"] == ["tea", "hot"]


def test_patch_embeds_only_another_content(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep(client)
    monkeypatch.setattr(EmbedderSource, "get", lambda *_: pytest.fail("nothing to embed"))
    with monkeypatch.context() as patched:
        patched.setattr("app.memory.service.Memories._near", lambda *_: None)
        answer = patch(client, kept["id"], kind="taste", content=f" {TEA} ")
    assert (answer.status_code, answer.json["indexed"]) == (200, True)


def test_patch_of_another_user_or_to_a_taken_content_is_refused(client: FlaskClient) -> None:
    kept, other = keep(client), keep(client, "the bus is late")
    assert patch(client, kept["id"], "bob", kind="x").status_code == 404
    agents = keep(client, "by an agent", agent_id="a")
    address = f"/memories/{agents['id']}?user_id=ada&agent_id=b"
    assert client.patch(address, json={"kind": "x"}).status_code == 404
    taken = patch(client, other["id"], content=TEA)
    assert taken.status_code == 409 and kept["id"] in taken.json["detail"]
    for wrong in ({"content": None}, {"surprise": 1}, {"tags": "x"}, {"expires_at": "2001"}):
        assert patch(client, kept["id"], **wrong).status_code == 422, wrong
    assert client.get(f"/memories/{kept['id']}?user_id=ada").json["kind"] is None


def test_patch_scrubs_the_whole_memory_and_says_so(app: Flask, client: FlaskClient) -> None:
    kept = keep(client)
    with parts_of(app).store.write() as conn:  # As an earlier version has stored it.
        records.rewrite(conn, "ada", kept["id"], {"metadata": {"password": "hunter2-hunter2"}})
    answer = patch(client, kept["id"], tags=["token=abcdef0123456789abcdef"])
    assert {one["path"] for one in answer.json["scrubbed"]} == {"metadata.password", "tags[0]"}
    assert "hunter2" not in answer.text and "abcdef0123" not in answer.text


def test_patches_of_different_fields_at_the_same_time_are_both_kept(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep(client)
    service, others = parts_of(app).memories, [{"kind": "taste"}]
    embed = service.embed

    def overtaken(texts: list[str]) -> Any:
        if others:
            assert patch(app.test_client(), kept["id"], **others.pop()).status_code == 200
        return embed(texts)

    monkeypatch.setattr(service, "embed", overtaken)
    changed = patch(client, kept["id"], content="Ada takes no tea").json
    assert (changed["content"], changed["kind"]) == ("Ada takes no tea", "taste")
    others.extend({"kind": f"kind {n}"} for n in range(9))
    refused = patch(client, kept["id"], content="Ada takes tea")
    assert refused.status_code == 409 and "try again" in refused.json["detail"]


# ---- batch --------------------------------------------------------------------------------------


def test_batch_answers_each_memory_for_itself(client: FlaskClient) -> None:
    known = keep(client)
    results = batch(
        client,
        {"content": "the bus is late", "user_id": "ada", "tags": ["way"]},
        {"content": TEA, "user_id": "ada", "kind": "taste"},
        {"content": "", "user_id": "ada"},
        {"content": "no user"},
        "nonsense",
        {"content": "a walk", "user_id": "bob", "unknown": 1},
        {"content": "the bus  is late", "user_id": "ada", "kind": "again"},
        {"content": "the bus is late", "user_id": "ada", "agent_id": "a"},
    )
    assert [result["status"] for result in results] == [201, 200, 422, 422, 422, 422, 200, 201]
    assert results[1]["memory"]["id"] == known["id"]
    assert results[2]["errors"][0]["field"] == "content" and results[2]["memory"] is None
    assert results[3]["errors"] == [{"field": "user_id", "message": "Field required"}]
    # The same content twice is one memory, as in two requests.
    assert results[6]["memory"]["id"] == results[0]["memory"]["id"] != results[7]["memory"]["id"]
    assert client.get("/memories?user_id=ada").json["total"] == 3
    assert client.get("/memories?user_id=bob").json["total"] == 0
    assert all(result["memory"]["indexed"] for result in results if result["memory"])


def test_batch_asks_the_embedder_once_and_scrubs(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, calls = parts_of(app).memories, []
    embed = service.embed
    monkeypatch.setattr(service, "embed", lambda texts: calls.append(texts) or embed(texts))
    items = [{"content": f"note {n}", "user_id": "ada"} for n in range(99)]
    results = batch(client, *items, {"content": "password=hunter2-hunter2", "user_id": "ada"})
    assert len(calls) == 1 and len(calls[0]) == 100
    assert results[99]["memory"]["scrubbed"][0]["path"] == "content"
    assert "hunter2" not in calls[0][99]
    assert client.get("/memories?user_id=ada").json["total"] == 100


def test_batch_stores_up_to_the_limit_of_a_user_and_refuses_the_rest(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_counts, "MAX_PER_USER", 2)
    items = [{"content": f"note {n}", "user_id": "ada"} for n in (0, 1, 2, 1)]
    results = batch(client, *items, {"content": "note", "user_id": "bob"})
    assert [result["status"] for result in results] == [201, 201, 409, 200, 201]
    assert "the most that are kept" in results[2]["detail"]
    assert client.get("/memories?user_id=ada").json["total"] == 2


def test_batch_has_limits(client: FlaskClient) -> None:
    for wrong in ([], [{}] * 101, None, {"content": "x"}):
        answer = client.post("/memories/batch", json={"memories": wrong})
        assert answer.status_code == 422, wrong


# ---- history ------------------------------------------------------------------------------------


def history(client: FlaskClient, id: str, **whose: str) -> list[dict[str, Any]]:
    query = {"user_id": "ada", **whose}
    answer = client.get(f"/memories/{id}/history", query_string=query)
    assert answer.status_code == 200, answer.text
    changes: list[dict[str, Any]] = answer.json["history"]
    return changes


def changes_in(app: Flask) -> int:
    with parts_of(app).store.read() as conn:
        return conn.scalar(select(func.count()).select_from(memory_changes)) or 0


def test_history_tells_who_changed_what_and_when(app: Flask, client: FlaskClient) -> None:
    kept = keep(client, tags=["tea"])
    assert history(client, kept["id"]) == []
    until = "2999-01-01T00:00:00Z"
    patched = patch(client, kept["id"], kind="taste", expires_at=until).json
    secret = parts_of(app).accounts.create_token("robot", ("memories",))
    client.put(
        f"/memories/{kept['id']}?user_id=ada",
        json={"content": "No tea", "kind": "taste", "tags": ["tea"]},
        headers={"Authorization": f"Bearer {secret}"},
    )
    keep(client, "No tea", tags=["tea", "none"])  # The same content again is a change, too.
    keep(client, "No tea")  # But not if nothing differs.
    newest, put, first = history(client, kept["id"])
    assert (newest["before"], newest["after"]) == ({"tags": ["tea"]}, {"tags": ["tea", "none"]})
    assert put["by"] == "token:robot"
    assert put["before"] == {"content": TEA, "expires_at": until}
    assert put["after"] == {"content": "No tea", "expires_at": None}
    assert (first["by"], first["at"]) == ("loopback", patched["updated_at"])
    assert first["before"] == {"kind": None, "expires_at": None}
    assert first["after"] == {"kind": "taste", "expires_at": until}


def test_history_is_bounded_by_number_and_age(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.memory.history.MAX_CHANGES", 3)
    kept = keep(client)
    for n in range(6):
        patch(client, kept["id"], kind=f"kind {n}")
    assert [change["after"]["kind"] for change in history(client, kept["id"])] == [
        *("kind 5", "kind 4", "kind 3")
    ]
    with parts_of(app).store.write() as conn:
        oldest = select(func.min(memory_changes.c.id)).scalar_subquery()
        old = update(memory_changes).where(memory_changes.c.id == oldest)
        conn.execute(old.values(at=utc_now() - timedelta(days=91)))
    Upkeep(parts_of(app).memories).work()
    assert [change["after"]["kind"] for change in history(client, kept["id"])] == [
        *("kind 5", "kind 4")
    ]


def test_history_is_of_the_user_and_goes_with_the_memory(app: Flask, client: FlaskClient) -> None:
    kept, other = keep(client), keep(client, "the bus is late")
    for id in (kept["id"], other["id"]):
        patch(client, id, kind="taste")
    for query in ({"user_id": "bob"}, {"user_id": "ada", "agent_id": "a"}):
        answer = client.get(f"/memories/{kept['id']}/history", query_string=query)
        assert answer.status_code == 404
    assert client.get(f"/memories/{kept['id']}/history").status_code == 422
    client.delete(f"/memories/{kept['id']}?user_id=ada", json={})
    assert client.get(f"/memories/{kept['id']}/history?user_id=ada").status_code == 404
    assert keep(client)["id"] == kept["id"] and history(client, kept["id"]) == []
    # One that expired before it was stored again starts anew, too.
    with parts_of(app).store.write() as conn:
        of_other = update(memories).where(memories.c.id == other["id"])
        conn.execute(of_other.values(expires_at=utc_now()))
    keep(client, "the bus is late")
    assert history(client, other["id"]) == []
    client.delete("/memories?user_id=ada", json={})
    assert changes_in(app) == 0


def test_erasing_a_person_deletes_every_history_that_has_it(
    app: Flask, client: FlaskClient
) -> None:
    kept, other = keep(client, "met ada@example.org"), keep(client)
    for id in (kept["id"], other["id"]):
        patch(client, id, content=f"met somebody {id[:4]}")
    arguments = ["erase", "--email", "ada@example.org", "--yes"]
    answer = app.test_cli_runner().invoke(args=arguments)
    assert answer.exit_code == 0, answer.output
    assert history(client, kept["id"]) == [] and len(history(client, other["id"])) == 1
