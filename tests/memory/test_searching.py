"""Searches with filters, scopes and modes: exact search and Qdrant give one answer, of one user.

The oracle is a loop over what was stored; Qdrant is the in-memory engine of its client, over HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from app.memory import keywords
from app.memory.catalog import Catalog
from app.memory.filters import parse
from app.memory.inputs import MemoryBody, MemorySearch
from app.memory.scope import Scope
from app.memory.service import Memories
from app.memory.tables import memories
from app.memory.upkeep import Upkeep
from app.memory.vectors.embedder import EmbedderSource
from app.memory.vectors.qdrant import Address, QdrantIndex
from app.memory.vectors.qdrant import filters as qdrant_filters
from app.store import Store
from tests.conftest import parts_of
from tests.fake_qdrant import FakeQdrant
from tests.memory.test_recall import PAIRS

USERS = ("ada", "bob")


class Both:
    """The same memories, once with exact search and once with Qdrant."""

    def __init__(self, app: Flask, url: str) -> None:
        store: Store = parts_of(app).store
        source = EmbedderSource()
        source.get(60)
        self.exact = Memories(store, source)
        self.qdrant = Memories(store, source, QdrantIndex(Address(url, timeout_s=20.0)))
        for number, (note, _) in enumerate(PAIRS * len(USERS)):
            user = USERS[number // len(PAIRS)]
            metadata: dict[str, Any] = {"n": number % 7, "team": ["shop", "pay", 3][number % 3]}
            if number % 4 == 0:
                metadata = {"list": ["shop", number % 5], "deep": {"on": number % 8 == 0}}
            if number % 9 == 0:
                metadata["long"] = "x" * 600
            body = MemoryBody(
                content=note,
                kind=[None, "fact", "task"][number % 3],
                tags=[["red"], ["blue", "red"], []][number % 3],
                metadata=metadata,
            )
            scope = Scope(user, ["bot", None][number % 2], [None, "1", "2"][number % 3])
            self.qdrant.add(scope, body)

    def everything(self, user: str) -> list[Any]:
        with self.exact.store.read() as conn:
            from app.memory.queries import list_memories

            return list_memories(conn, Scope(user), limit=100)


@pytest.fixture
def both(app: Flask) -> Iterator[Both]:
    with FakeQdrant() as server:
        made = Both(app, server.url)
        yield made
        made.qdrant.index.close()  # type: ignore[attr-defined]


VALUES = st.sampled_from(["shop", "pay", "3", 3, 3.0, 0, 1, True, False, None])
FIELDS = st.sampled_from(["n", "team", "list", "deep", "deep.on", "long", "missing", "n.x"]).map(
    "metadata.{}".format
)
CONDITIONS = st.one_of(
    st.builds(lambda f, o, v: {"field": f, o: v}, FIELDS, st.sampled_from(["eq", "ne"]), VALUES),
    st.builds(
        lambda f, o, v: {"field": f, o: v},
        FIELDS,
        st.sampled_from(["gt", "lt"]),
        st.sampled_from([2, 3.5, "p"]),
    ),
    st.builds(lambda f, v: {"field": f, "in": v}, FIELDS, st.lists(VALUES, min_size=1, max_size=3)),
    st.builds(
        lambda f, v: {"field": f, "contains": v}, FIELDS, st.sampled_from(["s", "shop", 2, True])
    ),
    st.sampled_from(
        [
            {"field": "kind", "eq": "fact"},
            {"field": "tags", "contains": "blue"},
            {"field": "agent_id", "eq": None},
            {"field": "run_id", "in": ["1", None]},
            {"field": "created_at", "gt": "2020-01-01T00:00:00Z"},
        ]
    ),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds(lambda some: {"and": some}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda some: {"or": some}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda one: {"not": one}, inner),
    ),
    max_leaves=5,
)
SEARCHES = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(USERS),
        "query": st.sampled_from([question for _, question in PAIRS] + ["Android 9", "Redis"]),
        "limit": st.sampled_from([1, 5, 100]),
        "agent_id": st.sampled_from([None, None, "bot"]),
        "run_id": st.sampled_from([None, None, "1"]),
        "kind": st.sampled_from([None, None, "fact"]),
        "tags": st.sampled_from([[], [], ["blue"]]),
        "mode": st.sampled_from(["auto", "vector", "keyword"]),
        "filters": st.one_of(st.none(), FILTERS),
    }
)


@pytest.mark.one_database
def test_both_indexes_give_one_answer_which_is_the_users(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever filter, mode, agent and run: the same hits in the same order, none of another user,
    none missing, and the list shows the same memories."""
    of_user = {user: both.everything(user) for user in USERS}

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(SEARCHES, st.sampled_from([1000, 3]))
    def check(asked: dict[str, Any], max_ids: int) -> None:
        # With 3, most filters let through more ids than a request to Qdrant names.
        monkeypatch.setattr(qdrant_filters, "MAX_IDS", max_ids)
        wanted = MemorySearch.model_validate(asked)
        answers = [one.search(wanted) for one in (both.exact, both.qdrant)]
        first, second = ([(hit.row.id, hit.score, hit.found_by) for hit in a.hits] for a in answers)
        assert first == second
        assert answers[0].waiting == answers[1].waiting == 0
        expected = {
            row.id
            for row in of_user[wanted.user_id]
            if wanted.scope.has(row)
            and wanted.kind in (None, row.kind)
            and (not wanted.tags or set(wanted.tags) & set(row.tags))
            and (wanted.filters is None or wanted.filters.matches(row))
        }
        found = [id for id, _, _ in first]
        assert set(found) <= expected and len(found) == len(set(found))
        if wanted.mode != "keyword":
            assert len(found) == min(wanted.limit, len(expected))
        if asked["filters"] is not None:
            filter = wanted.model_copy(update={"limit": 100})
            listed = both.exact.searcher.listed(
                filter.scope,
                _Filter(wanted.kind),  # type: ignore[arg-type]
                parse(asked["filters"]),
                before=None,
                limit=100,
            )
            assert {row.id for row in listed} >= expected
            assert [row.seq for row in listed] == sorted((r.seq for r in listed), reverse=True)
            assert {row.user_id for row in listed} <= {wanted.user_id}

    check()


class _Filter:
    q = None

    def __init__(self, kind: str | None) -> None:
        self.kind = kind


# ---- keywords -----------------------------------------------------------------------------------

# What somebody remembers exactly, and the only note that has it. The ids of the other notes have
# the same digits and letters in another order, so their vectors are nearly or exactly the same.
EXACT = [
    ("ORD-20731", "Order ORD-{} was refunded because the parcel came back", ["27031", "20713"]),
    ("4711-0815", "The invoice {} was paid twice by the customer", ["4711-0851", "1147-0815"]),
    ("app/pay/charge.py:42", "The retry stands in {} and must stay", ["app/pay/charge.py:24"]),
    ("PaymentTimeoutError", "We saw {} after the last deploy", ["TimeoutPaymentError"]),
    ("ERR_CONN_RESET", "The proxy answers {} under load", ["ERR_RESET_CONN"]),
    ("build 5512", "The build {} has the broken fonts", ["5521", "1552", "2551"]),
    ("10.3.7.21", "The printer answers at {} since Monday", ["10.3.7.12", "10.7.3.21"]),
    ("feature/checkout-v2", "Ibrahim merged {} on Tuesday", ["feature/v2-checkout"]),
    ("shop.orders.retry_limit", "The setting {} is five", ["shop.retry.orders_limit"]),
    ("9f8e7d6c", "The commit {} broke the search", ["9f8e6d7c", "8f9e7d6c", "6c7d8e9f"]),
]


def recall(service: Memories, mode: str) -> int:
    found = 0
    for asked, template, _ in EXACT:
        wanted = MemorySearch(user_id="ada", query=f"what about {asked}?", limit=1, mode=mode)  # type: ignore[arg-type]
        value = asked.removeprefix("ORD-").removeprefix("build ")
        hits = service.search(wanted).hits
        found += [hit.row.content for hit in hits] == [template.format(value)]
    return found


@pytest.mark.one_database
def test_exact_names_are_found_first_where_vectors_alone_miss(app: Flask) -> None:
    service: Memories = parts_of(app).memories
    service.embedders.get(60)
    for asked, template, others in EXACT:
        value = asked.removeprefix("ORD-").removeprefix("build ")
        for one in [*others, value]:
            service.add(Scope("ada"), MemoryBody(content=template.format(one)))
    for note, _ in PAIRS:
        service.add(Scope("ada"), MemoryBody(content=note))
    by_meaning, by_both, by_keyword = (recall(service, m) for m in ("vector", "auto", "keyword"))
    assert by_meaning <= 6, by_meaning
    assert by_both >= 9 and by_keyword >= 9, (by_both, by_keyword)
    # And other words are found as well as before.
    missed = []
    for note, question in PAIRS:
        hits = service.search(MemorySearch(user_id="ada", query=question, limit=5)).hits
        if note not in [hit.row.content for hit in hits]:
            missed.append(question)
    assert len(PAIRS) - len(missed) >= 26, missed


def keep(client: FlaskClient, content: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/memories", json={"content": content, "user_id": "ada", **more})
    assert answer.status_code in (200, 201), answer.text
    kept: dict[str, Any] = answer.json
    return kept


def find(client: FlaskClient, query: str, **more: Any) -> list[str]:
    answer = client.post("/memories/search", json={"query": query, "user_id": "ada", **more})
    assert answer.status_code == 200, answer.text
    return [result["content"] for result in answer.json["results"]]


def test_filters_and_keywords_follow_what_is_written(app: Flask, client: FlaskClient) -> None:
    first = keep(client, "Ticket KX71 is open", metadata={"team": "shop", "n": 1})
    keep(client, "Ticket QZ82 is open", metadata={"team": "pay", "n": 2, "long": "x" * 600})
    shop = {"field": "metadata.team", "eq": "shop"}
    assert find(client, "tickets", filters=shop) == ["Ticket KX71 is open"]
    assert find(client, "QZ82", mode="keyword") == ["Ticket QZ82 is open"]
    assert find(client, "QZ82", mode="keyword", filters=shop) == []
    listed = {"user_id": "ada", "filters": json.dumps({"not": shop})}
    page = client.get("/memories", query_string=listed).json
    assert [one["content"] for one in page["memories"]] == ["Ticket QZ82 is open"]
    assert page["total"] is None
    path = f"/memories/{first['id']}?user_id=ada"
    client.put(path, json={"content": "Ticket VW93 is done", "metadata": {"team": "pay"}})
    assert find(client, "tickets", filters=shop) == find(client, "KX71", mode="keyword") == []
    assert find(client, "vw93.", mode="keyword", limit=1) == ["Ticket VW93 is done"]
    client.delete(path, json={})
    assert find(client, "VW93", mode="keyword", filters={"not": shop}) == []
    wrong = {"and": [{"field": "metadata.n", "eq": []}]}
    for answer in (
        client.post("/memories/search", json={"query": "x", "user_id": "ada", "filters": wrong}),
        client.get("/memories", query_string={"user_id": "ada", "filters": json.dumps(wrong)}),
    ):
        assert answer.status_code == 422
        assert answer.json["errors"][0]["field"] == "filters.and.0.eq"


def test_pages_of_a_filtered_list_lead_to_its_end(client: FlaskClient) -> None:
    for number in range(7):
        keep(client, f"note {number}", metadata={"even": number % 2 == 0})
    query = {"user_id": "ada", "limit": 2, "filters": '{"field": "metadata.even", "eq": true}'}
    found = []
    while True:
        page = client.get("/memories", query_string=query).json
        found += [memory["content"] for memory in page["memories"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == ["note 6", "note 4", "note 2", "note 0"]


def test_words_of_earlier_memories_are_made_by_the_upkeep(app: Flask, client: FlaskClient) -> None:
    keep(client, "Ticket PAY-7 is open")
    with parts_of(app).store.write() as conn:
        conn.execute(update(memories).values(words=None, version=memories.c.version + 1))
        conn.exec_driver_sql("UPDATE memory_users SET version = version + 1")
    body = {"query": "PAY-7", "user_id": "ada", "mode": "keyword"}
    assert client.post("/memories/search", json=body).json["waiting"] == 1
    Upkeep(parts_of(app).memories).work()
    answer = client.post("/memories/search", json=body).json
    assert answer["waiting"] == 0
    assert [(one["found_by"], one["score"]) for one in answer["results"]] == [(["keywords"], 1.0)]


@pytest.mark.one_database
def test_search_by_keywords_needs_no_embedder(app: Flask, client: FlaskClient) -> None:
    keep(client, "Ticket PAY-7 is open")
    service = parts_of(app).memories
    service.embedders = EmbedderSource("no.module:embedder")
    assert find(client, "pay-7", mode="keyword") == ["Ticket PAY-7 is open"]


def test_only_some_users_are_held(app: Flask) -> None:
    service: Memories = parts_of(app).memories
    for user in ("ada", "bob", "eve"):
        service.add(Scope(user), MemoryBody(content=f"note of {user}"))
    catalog = Catalog(parts_of(app).store, max_cache_bytes=1)
    for user in ("ada", "bob", "eve", "nobody", "ada"):
        assert len(catalog.of(user).entries) == (user != "nobody")
    assert len(catalog._held) == 1


def test_words_of_a_text() -> None:
    names, words = keywords.words_of("The PaymentError in app/pay/charge.py:42, it's (PAY-1042)!")
    assert names == ["paymenterror", "app/pay/charge.py:42", "charge.py", "pay-1042"]
    assert {"pay", "charge", "payment", "error", "1042"} <= set(words)
    assert not {"the", "in", "it"} & set(words)
    many = keywords.packed_words(" ".join(f"w{n}" for n in range(5000)), [])
    assert len(many) == 8 * keywords.MAX_WORDS
    assert keywords.words_of("") == ([], []) and keywords.query_words("...").hashes == []
