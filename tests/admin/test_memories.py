"""The page of memories: whose there are, what they say, found and deleted by a person."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.admin.memories import findings
from app.memory.inputs import MemoryBody
from app.memory.queries import list_memories
from app.memory.scope import Scope
from app.memory.service import State
from tests.conftest import csrf_token, parts_of

pytestmark = pytest.mark.one_database

STRANGE = "<b>ünï/../?&#x</b> ada"


@pytest.fixture
def filled(app: Flask) -> Flask:
    for user in ("ada", STRANGE):
        for content in ("tea without sugar", "the bus is late", "<script>alert(1)</script>" * 30):
            body = MemoryBody(content=content, kind="note", tags=["t<1>"], metadata={"a": "<i>"})
            parts_of(app).memories.add(Scope(user, "<i>bot"), body)
    return app


def test_users_and_their_memories_are_browsed_and_searched(
    filled: Flask, admin_client: FlaskClient
) -> None:
    users = admin_client.get("/admin/memories").text
    assert "&lt;b&gt;ünï/../?&amp;#x&lt;/b&gt; ada" in users and "wordllama" in users
    assert "No user is called" in admin_client.get("/admin/memories?q=bob").text
    page = admin_client.get("/admin/memories/user", query_string={"user": STRANGE}).text
    assert "3 memories" in page and "tea without sugar" in page and "<script>alert" not in page
    query = {"user": STRANGE, "q": "public transport"}
    page = admin_client.get("/admin/memories/user", query_string=query).text
    assert page.index("the bus is late") < page.index("tea without sugar")


def test_deleting_asks_first(filled: Flask, admin_client: FlaskClient) -> None:
    with parts_of(filled).store.read() as conn:
        id = list_memories(conn, Scope(STRANGE))[-1].id
    address = "/admin/memories/user/delete"
    one = {"user": STRANGE, "id": id}
    assert "tea without sugar" in admin_client.get(address, query_string=one).text
    token = csrf_token(admin_client, f"{address}?user=ada")
    assert admin_client.post(address, data=one).status_code == 400  # without the token
    answer = admin_client.post(address, data=one | {"csrf_token": token}, follow_redirects=True)
    assert "The memory is deleted." in answer.text and "2 memories" in answer.text
    data = {"user": "ada", "csrf_token": token}
    answer = admin_client.post(address, data=data, follow_redirects=True)
    assert "3 memories deleted." in answer.text
    for gone in ({"user": "ada"}, one, {}, {"user": "\x00"}):
        assert admin_client.get(address, query_string=gone).status_code == 404


def test_search_without_an_embedder_is_by_keywords_and_says_why(
    make_app: Callable[..., Flask], login: Callable[[FlaskClient], FlaskClient]
) -> None:
    app = make_app(EMBEDDER="tests.stub_index:broken")
    client = login(app.test_client())
    body = {"user_id": "ada", "content": "tea without sugar"}
    assert client.post("/memories", json=body).status_code == 201
    page = client.get("/admin/memories/user?user=ada&q=tea").text
    assert "The search is incomplete: searched by keywords only: the embedder" in page
    assert "tea without sugar" in page
    assert "does not load" in client.get("/admin/memories").text


def test_state_tells_what_is_behind_and_what_mends_it() -> None:
    state = State(1, 9, "qdrant", "failed", None, 2, 1, 3, "the index does not answer")
    told = [f"{finding.text} {finding.mend}" for finding in findings(state)]
    assert told[0] == "The index does not work: the index does not answer."
    assert "EMBEDDER" in told[1] and told[2].startswith("2 memories not in the index")
    assert "flask memory reindex" in told[3] and told[4].startswith("1 deleted memory still")
