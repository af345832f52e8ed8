"""Memories exported and imported as NDJSON, by the API and by commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.api import memory_transfer
from app.memory.tables import memories
from app.store import Store, utc_now
from tests.conftest import parts_of

NDJSON = "application/x-ndjson"


def keep(client: FlaskClient, content: str, user_id: str = "ada", **more: Any) -> Any:
    answer = client.post("/memories", json={"content": content, "user_id": user_id, **more})
    assert answer.status_code in (200, 201), answer.text
    return answer.json


def fill(client: FlaskClient) -> None:
    until = (utc_now() + timedelta(days=1)).isoformat()
    keep(client, "tea\nwithout “sugar”", kind="taste", tags=["tea"], metadata={"n": [1, None]})
    keep(client, "the bus is late", agent_id="planner", run_id="r 1")
    kept = keep(client, "changed", expires_at=until)
    address = f"/memories/{kept['id']}?user_id=ada"
    client.patch(address, json={"content": "changed since"})
    keep(client, "of bob", "bob")


def exported(client: FlaskClient, user_id: str = "ada", **more: str) -> list[dict[str, Any]]:
    answer = client.get("/memories/export", query_string={"user_id": user_id, **more})
    assert (answer.status_code, answer.mimetype) == (200, NDJSON)
    return [json.loads(line) for line in answer.data.splitlines()]


def imported(client: FlaskClient, lines: list[Any], user_id: str = "ada") -> dict[str, Any]:
    body = b"".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines
    )
    answer = client.post(
        f"/memories/import?user_id={user_id}", data=body, content_type=f"{NDJSON}; charset=utf-8"
    )
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json
    return result


def emptied(client: FlaskClient) -> None:
    for user in ("ada", "bob"):
        client.delete(f"/memories?user_id={user}", json={})


def test_import_of_an_export_gives_the_same_memories(client: FlaskClient) -> None:
    fill(client)
    before = client.get("/memories?user_id=ada").json
    lines = exported(client)
    assert [line["content"] for line in lines][::2] == ["tea\nwithout “sugar”", "changed since"]
    assert [line["content"] for line in exported(client, agent_id="planner")] == ["the bus is late"]
    assert exported(client, "eve") == []
    emptied(client)
    done = imported(client, lines)
    assert done == {"stored": 3, "updated": 0, "refused": 0, "errors": []}
    assert client.get("/memories?user_id=ada").json == before
    assert client.get("/memories?user_id=bob").json["total"] == 0
    body = {"query": "public transport delayed", "user_id": "ada", "limit": 1}
    [found] = client.post("/memories/search", json=body).json["results"]
    assert found["content"] == "the bus is late"
    # Once more: nothing is there twice.
    done = imported(client, lines)
    assert (done["stored"], done["updated"], done["refused"]) == (0, 3, 0)
    assert client.get("/memories?user_id=ada").json["total"] == 3


def test_wrong_lines_are_named_and_the_others_are_stored(client: FlaskClient) -> None:
    bobs = keep(client, "of bob", "bob")
    done = imported(
        client,
        [
            {"user_id": "ada", "content": "first"},
            b"{nonsense\n",
            b"\n",
            b"[" * 1000 + b"\n",
            {"user_id": "bob", "content": "of another user"},
            {"user_id": "ada"},
            {"user_id": "ada", "content": "x", "created_at": "2999-01-01T00:00:00Z"},
            {"user_id": "ada", "content": "x", "id": "1"},
            {"user_id": "ada", "content": "x", "expires_at": "2001-01-01T00:00:00Z"},
            {"user_id": "ada", "content": "x", "surprise": 1},
            b'{"content": "' + b"x" * 300_000 + b'"}\n',
            # The id of another user's memory is not taken over.
            {"user_id": "ada", "content": "last", "id": bobs["id"]},
        ],
    )
    assert (done["stored"], done["refused"]) == (2, 9)
    assert [(error["line"], error["field"]) for error in done["errors"]] == [
        *((2, "line"), (4, "line"), (5, "user_id"), (6, "content"), (7, "created_at")),
        *((8, "id"), (9, "expires_at"), (10, "surprise"), (11, "line")),
    ]
    assert [line["content"] for line in exported(client)] == ["first", "last"]
    assert exported(client)[1]["id"] != bobs["id"] == exported(client, "bob")[0]["id"]


def test_import_scrubs_and_keeps_the_limits(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.memory.user_counts.MAX_PER_USER", 1)
    lines = [{"user_id": "ada", "content": f"password=hunter2-hunter{n}"} for n in range(2)]
    done = imported(client, [*lines, {"user_id": "ada", "content": "one too many"}])
    assert (done["stored"], done["refused"]) == (1, 1) and "most" in done["errors"][0]["message"]
    assert "hunter2" not in str(exported(client))


def test_import_is_bounded_and_of_one_user(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = json.dumps({"user_id": "ada", "content": "tea"}).encode() + b"\n"
    post = client.post("/memories/import", data=line, content_type=NDJSON)
    assert post.status_code == 422
    address = "/memories/import?user_id=ada"
    assert client.post(address, json={"content": "tea"}).status_code == 415
    assert client.post(address, data=line, content_type="text/plain").status_code in (401, 415)
    monkeypatch.setattr(memory_transfer, "MAX_IMPORT_BYTES", 10)
    assert client.post(address, data=line, content_type=NDJSON).status_code == 413
    assert client.get("/memories/export").status_code == 422


def test_export_leaves_out_what_expired_and_reads_by_pages(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.memory.transfer.PAGE_SIZE", 2)
    ids = [keep(client, f"note {n}")["id"] for n in range(5)]
    with parts_of(app).store.write() as conn:
        one = update(memories).where(memories.c.id == ids[1])
        conn.execute(one.values(expires_at=utc_now()))
    assert [line["id"] for line in exported(client)] == [ids[0], *ids[2:]]


@pytest.mark.one_database
def test_commands_move_all_memories_to_another_store(
    app: Flask,
    client: FlaskClient,
    make_app: Callable[..., Flask],
    tmp_path: Path,
) -> None:
    fill(client)
    before = exported(client)
    file = tmp_path / "memories.ndjson"
    done = app.test_cli_runner().invoke(args=["memory", "export", str(file)])
    assert done.exit_code == 0 and "4 memories exported" in done.output, done.output
    assert file.stat().st_mode & 0o077 == 0 and len(file.read_bytes().splitlines()) == 4
    # An existing file is not written over.
    again = app.test_cli_runner().invoke(args=["memory", "export", str(file)])
    assert again.exit_code == 1 and "exists" in again.output
    url = f"sqlite:///{tmp_path / 'other.sqlite3'}"
    store = Store(url)
    store.migrate()
    store.dispose()
    other = make_app(DATABASE_URL=url)
    file.write_bytes(file.read_bytes() + b"nonsense\n")
    done = other.test_cli_runner().invoke(args=["memory", "import", str(file)])
    assert done.exit_code == 1 and "line 5: line: the line is no JSON" in done.output, done.output
    assert "4 memories stored, 0 updated, 1 lines refused" in done.output
    assert exported(other.test_client()) == before
    done = app.test_cli_runner().invoke(args=["memory", "import", str(tmp_path / "none")])
    assert done.exit_code == 1 and "No such file" in done.output
    only = tmp_path / "bob"
    app.test_cli_runner().invoke(args=["memory", "export", str(only), "--user-id", "bob"])
    assert json.loads(only.read_text())["content"] == "of bob"
