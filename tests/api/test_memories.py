"""The memory service by its API: kept, found, changed, deleted; and nobody sees another's."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.memory.tables import memories, memory_users
from app.store import utc_now
from tests.conftest import parts_of

TEA = "Ada takes her tea without sugar"


def keep(client: FlaskClient, content: str, user_id: str = "ada", **more: Any) -> dict[str, Any]:
    answer = client.post("/memories", json={"content": content, "user_id": user_id, **more})
    assert answer.status_code in (200, 201), answer.text
    kept: dict[str, Any] = answer.json
    return kept


def find(client: FlaskClient, query: str, user_id: str = "ada", **more: Any) -> list[str]:
    answer = client.post("/memories/search", json={"query": query, "user_id": user_id, **more})
    assert answer.status_code == 200, answer.text
    return [result["content"] for result in answer.json["results"]]


def listed(client: FlaskClient, user_id: str = "ada", **more: Any) -> list[str]:
    answer = client.get("/memories", query_string={"user_id": user_id, **more})
    assert answer.status_code == 200, answer.text
    return [memory["content"] for memory in answer.json["memories"]]


def test_memory_is_told_whole_and_found_by_what_it_means(client: FlaskClient) -> None:
    until = (utc_now() + timedelta(days=1)).isoformat()
    more = {"kind": "taste", "tags": ["tea", "tea", "Ada"], "metadata": {"n": 2**63 - 1, "s": "é"}}
    kept = keep(client, TEA, expires_at=until, **more)
    keep(client, "The deploy on Friday broke the invoices")
    assert kept["tags"] == ["tea", "Ada"] and kept["metadata"] == more["metadata"]
    assert kept["indexed"] is True and kept["duplicate_of"] is None
    shown = client.get(f"/memories/{kept['id']}?user_id=ada").json
    assert shown == {name: kept[name] for name in shown}
    [best, _] = client.post(
        "/memories/search", json={"query": "how does she drink it: sweet?", "user_id": "ada"}
    ).json["results"]
    more = {"score": best["score"], "found_by": best["found_by"]}
    assert best == shown | more and 0 < best["score"] < 1


def test_same_content_keeps_its_id_and_takes_what_is_given_anew(client: FlaskClient) -> None:
    first = client.post("/memories", json={"content": TEA, "user_id": "ada", "tags": ["tea"]})
    again = client.post(
        "/memories", json={"content": f"  {TEA} ".replace(" ", "  "), "user_id": "ada", "kind": "k"}
    )
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json["id"] == first.json["id"]
    assert (again.json["kind"], again.json["tags"]) == ("k", ["tea"])
    assert again.json["content"] == TEA and listed(client) == [TEA]
    # Another user's is another one.
    assert keep(client, TEA, "bob")["id"] != first.json["id"]


def test_requests_that_race_make_one_memory(app: Flask, database_url: str) -> None:
    def post(_: int) -> tuple[int, str]:
        body = {"content": TEA, "user_id": "ada"}
        answer = app.test_client().post("/memories", json=body)
        return answer.status_code, answer.json["id"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))
    assert sorted(status for status, _ in answers) == [200] * 7 + [201]
    assert len({id for _, id in answers}) == 1


def test_near_duplicate_names_the_other_and_is_kept(client: FlaskClient) -> None:
    first = keep(client, TEA)
    second = keep(client, f"{TEA}.")
    assert second["duplicate_of"] == first["id"] != second["id"]
    assert keep(client, f"{TEA}.", "bob")["duplicate_of"] is None


def test_another_users_memory_is_404_and_never_found(client: FlaskClient) -> None:
    id = keep(client, TEA)["id"]
    for method, body in (("GET", None), ("PUT", {"content": "x"}), ("DELETE", {})):
        answer = client.open(f"/memories/{id}?user_id=bob", method=method, json=body)
        assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert find(client, TEA, "bob") == listed(client, "bob") == []
    assert client.delete("/memories?user_id=bob", json={}).json == {"deleted": 0}
    assert find(client, TEA) == [TEA]


def test_agents_and_runs_have_memories_of_their_own(client: FlaskClient) -> None:
    whose = [{}, {"agent_id": "bot"}, {"agent_id": "bot", "run_id": "1"}, {"run_id": "1"}]
    made = [keep(client, TEA, **scope) for scope in whose]
    assert len({memory["id"] for memory in made}) == 4
    assert [(memory["agent_id"], memory["run_id"]) for memory in made] == [
        *((None, None), ("bot", None), ("bot", "1"), (None, "1"))
    ]
    again = client.post("/memories", json={"content": TEA, "user_id": "ada", **whose[2]})
    assert (again.status_code, again.json["id"]) == (200, made[2]["id"])
    keep(client, TEA, "bob", agent_id="bot", run_id="1")
    for scope, count in zip(whose, (4, 2, 1, 2), strict=True):
        assert len(find(client, TEA, **scope)) == len(listed(client, **scope)) == count, scope
    # Nearly the same content of another agent is no duplicate.
    assert keep(client, f"{TEA}.", agent_id="other")["duplicate_of"] is None
    assert keep(client, f"{TEA}.", **whose[2])["duplicate_of"] == made[2]["id"]
    path = f"/memories/{made[2]['id']}"
    other = {"user_id": "ada", "agent_id": "other"}
    for method, body in (("GET", None), ("PUT", {"content": "x"}), ("DELETE", {})):
        answer = client.open(path, method=method, query_string=other, json=body)
        assert answer.status_code == 404
    put = client.put(f"{path}?user_id=ada&agent_id=bot", json={"content": "The bus is late"})
    assert (put.status_code, put.json["agent_id"], put.json["run_id"]) == (200, "bot", "1")
    # It has left its content, which the same agent and run may store again.
    assert keep(client, TEA, **whose[2])["id"] != made[2]["id"]
    own = {"user_id": "ada", "agent_id": "bot"}
    assert client.delete("/memories", query_string=own, json={}).json == {"deleted": 4}
    assert sorted(find(client, TEA)) == sorted(listed(client)) == [TEA, TEA, f"{TEA}."]
    assert client.get("/memories?user_id=ada").json["total"] == 3
    assert listed(client, "bob") == [TEA]


def test_put_replaces_a_memory_as_a_whole(client: FlaskClient) -> None:
    kept = keep(client, TEA, kind="taste", tags=["tea"])
    put = client.put(f"/memories/{kept['id']}?user_id=ada", json={"content": "The bus is late"})
    assert put.status_code == 200
    assert (put.json["id"], put.json["kind"], put.json["tags"]) == (kept["id"], None, [])
    assert put.json["created_at"] == kept["created_at"] < put.json["updated_at"]
    assert find(client, "public transport delayed", min_score=0.2) == ["The bus is late"]
    # The content it was made of is free again, under another id.
    assert keep(client, TEA)["id"] not in (kept["id"], None)
    refused = client.put(f"/memories/{kept['id']}?user_id=ada", json={"content": TEA})
    assert refused.status_code == 409


def test_deleted_memory_is_gone_everywhere(client: FlaskClient) -> None:
    ids = [keep(client, f"note {n}")["id"] for n in range(3)]
    keep(client, TEA, "bob")
    assert client.delete(f"/memories/{ids[1]}?user_id=ada", json={}).status_code == 204
    assert client.get(f"/memories/{ids[1]}?user_id=ada").status_code == 404
    assert sorted(find(client, "note")) == ["note 0", "note 2"]
    assert client.delete("/memories?user_id=ada", json={}).json == {"deleted": 2}
    assert listed(client) == find(client, "note") == []
    assert listed(client, "bob") == [TEA]


def test_what_expired_is_hidden_at_once(app: Flask, client: FlaskClient) -> None:
    until = (utc_now() + timedelta(days=1)).isoformat()
    id = keep(client, TEA, expires_at=until)["id"]
    assert find(client, TEA) == [TEA]
    with parts_of(app).store.write() as conn:
        conn.execute(update(memories).values(expires_at=utc_now()))
    assert find(client, TEA) == listed(client) == []
    assert client.get("/memories?user_id=ada").json["total"] == 0
    for method in ("GET", "DELETE"):
        gone = client.open(f"/memories/{id}?user_id=ada", method=method, json={})
        assert gone.status_code == 404
    # And what is kept again lives again, as a new one.
    again = client.post("/memories", json={"content": TEA, "user_id": "ada"})
    assert (again.status_code, again.json["id"], again.json["expires_at"]) == (201, id, None)
    assert find(client, TEA) == [TEA]


def test_pages_lead_from_the_newest_to_the_oldest(client: FlaskClient) -> None:
    for n in range(5):
        keep(client, f"note {n}", kind="odd" if n % 2 else "even")
    found, query = [], {"user_id": "ada", "limit": 2}
    while True:
        page = client.get("/memories", query_string=query).json
        found += [memory["content"] for memory in page["memories"]]
        assert page["total"] == 5
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == [f"note {n}" for n in (4, 3, 2, 1, 0)]
    assert listed(client, kind="odd") == ["note 3", "note 1"]
    assert listed(client, q="NOTE 3") == ["note 3"]


def test_search_is_narrowed_as_asked(client: FlaskClient) -> None:
    keep(client, "The cat sleeps on the sofa", kind="pet", tags=["cat", "home"])
    keep(client, "The dog sleeps in the garden", kind="pet", tags=["dog"])
    keep(client, "The train leaves at nine", tags=["home"])
    assert len(find(client, "animals")) == 3 and len(find(client, "animals", limit=1)) == 1
    assert sorted(find(client, "animals", kind="pet")) == [
        "The cat sleeps on the sofa",
        "The dog sleeps in the garden",
    ]
    assert len(find(client, "animals", tags=["home", "dog"])) == 3
    assert find(client, "animals", tags=["dog"]) == ["The dog sleeps in the garden"]
    assert find(client, "The train leaves at nine", min_score=0.99) == ["The train leaves at nine"]
    assert find(client, "animals", min_score=1) == []


WRONG = [
    ("content", ""),
    ("content", " \n "),
    ("content", "x" * 32_001),
    ("content", "half \ud800"),
    ("content", "nul \x00"),
    ("content", 7),
    ("user_id", ""),
    ("user_id", "u" * 201),
    ("user_id", "\ud800"),
    ("user_id", 7),
    ("agent_id", ""),
    ("agent_id", " "),
    ("run_id", "r" * 201),
    ("run_id", "\x00"),
    ("kind", ""),
    ("kind", "\udfff"),
    ("tags", "tea"),
    ("tags", ["t"] * 33),
    ("tags", ["t" * 65]),
    ("tags", ["\x00"]),
    ("metadata", []),
    ("metadata", {"deep": {"n": 2**63}}),
    ("metadata", {"n": [-(2**63) - 1]}),
    ("metadata", {"n": float("nan")}),
    ("metadata", {"n": float("inf")}),
    ("metadata", {"\ud800": 1}),
    ("metadata", {"s": "\ud800"}),
    ("metadata", {"s": "x" * 16_400}),
    ("metadata", {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}}),
    ("expires_at", "tomorrow"),
    ("expires_at", 4102444800),
    ("expires_at", "4102444800"),
    ("expires_at", "2999-01-01T00:00:00"),
    ("expires_at", "2020-01-01T00:00:00Z"),
    ("expires_at", "9999-12-31T23:59:59-23:59"),
    ("surprise", 1),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_wrong_field_is_named_and_nothing_is_kept(app: Flask, client: FlaskClient) -> None:
    for field, value in WRONG:
        body = {"content": TEA, "user_id": "ada", field: value}
        answer = client.post("/memories", data=json.dumps(body), content_type="application/json")
        assert answer.status_code == 422, (field, value)
        assert {error["field"].partition(".")[0] for error in answer.json["errors"]} == {field}
    with parts_of(app).store.read() as conn:
        assert conn.execute(select(memories.c.id)).all() == []
        assert conn.execute(select(memory_users)).all() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_wrong_search_and_wrong_address_name_the_field(client: FlaskClient) -> None:
    for field, value in [
        ("query", ""),
        ("query", "\ud800"),
        ("limit", 0),
        ("limit", 101),
        ("limit", 10**30),
        ("min_score", float("nan")),
        ("min_score", 1.1),
        ("tags", [7]),
    ]:
        body = json.dumps({"query": "tea", "user_id": "ada", field: value})
        answer = client.post("/memories/search", data=body, content_type="application/json")
        assert answer.status_code == 422, (field, value)
        assert answer.json["errors"][0]["field"].partition(".")[0] == field
    for address, field in [
        ("/memories", "user_id"),
        ("/memories?user_id=%00", "user_id"),
        ("/memories?user_id=a&cursor=99999999999999999999", "cursor"),
        ("/memories/7?user_id=a", "id"),
    ]:
        answer = client.get(address)
        assert answer.status_code == 422, address
        assert answer.json["errors"][0]["field"] == field


def test_refused_number_is_no_json_at_all(client: FlaskClient) -> None:
    body = '{"content": "x", "user_id": "a", "metadata": {"n": ' + "9" * 5000 + "}}"
    answer = client.post("/memories", data=body, content_type="application/json")
    assert answer.status_code == 400
