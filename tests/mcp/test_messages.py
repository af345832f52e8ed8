"""POST /mcp as a protocol: versions, JSON-RPC, and what HTTP refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.store import StoreError
from tests.conftest import API_TOKEN, parts_of
from tests.mcp.steps import JSON, bearer, message, post

pytestmark = pytest.mark.one_database

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture
def agent(app: Flask) -> dict[str, str]:
    return bearer(app)


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        *((version, version) for version in ("2024-11-05", "2025-03-26", "2025-06-18")),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("2031-01-01", "2025-11-25"),
    ],
)
def test_handshake_agrees_on_a_version(
    app: Flask, agent: dict[str, str], offered: str, agreed: str
) -> None:
    params = {"protocolVersion": offered, "capabilities": {}, "clientInfo": {"name": "x"}}
    answer = post(app, message("initialize", **params), agent)
    assert answer.status_code == 200 and answer.json["id"] == 1
    result = answer.json["result"]
    assert result["protocolVersion"] == agreed and "tools" in result["capabilities"]
    assert result["serverInfo"]["name"] == "devenviro" and "untrusted" in result["instructions"]
    assert "mcp-session-id" not in answer.headers
    versioned = {**agent, "MCP-Protocol-Version": agreed}
    said = post(app, {"jsonrpc": "2.0", "method": "notifications/initialized"}, versioned)
    assert (said.status_code, said.data) == (202, b"")
    assert post(app, message("ping", "p"), versioned).json == {
        "jsonrpc": "2.0",
        "id": "p",
        "result": {},
    }
    assert post(app, message("tools/list"), versioned).json["result"]["tools"]


@pytest.mark.parametrize(
    ("body", "code", "status", "id"),
    [
        ("{", -32700, 400, None),
        ("[" * 50_000, -32700, 400, None),
        ("nothing", -32700, 400, None),
        ("1", -32600, 400, None),
        ('"text"', -32600, 400, None),
        ("{}", -32600, 400, None),
        ("[]", -32600, 400, None),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, -32600, 400, None),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, -32600, 400, None),
        ({"jsonrpc": "2.0", "id": True, "method": "ping"}, -32600, 400, None),
        ({"jsonrpc": "2.0", "id": {}, "method": "ping"}, -32600, 400, None),
        ({"jsonrpc": "2.0", "id": 1}, -32600, 400, None),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, -32600, 400, None),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}, -32602, 400, None),
        (message("initialize", 2), -32602, 200, 2),
        (message("resources/list", 2), -32601, 200, 2),
        (message("server/discover", "a"), -32601, 200, "a"),
        (message("tools/list", 2, cursor="x"), -32602, 200, 2),
        (message("tools/call", 2), -32602, 200, 2),
        (message("tools/call", 2, name="nothing"), -32602, 200, 2),
        (message("tools/call", 2, name="get_health", arguments=[]), -32602, 200, 2),
        (message("tools/call", 2, name=["get_health"]), -32602, 200, 2),
    ],
)
def test_wrong_message_is_an_error_of_json_rpc(
    app: Flask, agent: dict[str, str], body: Any, code: int, status: int, id: Any
) -> None:
    answer = post(app, body, agent)
    assert answer.status_code == status and answer.mimetype == "application/json"
    assert answer.json["jsonrpc"] == "2.0" and answer.json["id"] == id
    assert answer.json["error"]["code"] == code and answer.json["error"]["message"]


def test_id_with_half_of_a_surrogate_pair_comes_back(app: Flask, agent: dict[str, str]) -> None:
    body = r'{"jsonrpc": "2.0", "id": "\ud800é", "method": "ping"}'.encode()
    for headers in agent, {**agent, "MCP-Protocol-Version": "1999-01-01"}:
        answer = post(app, body, headers)
        assert answer.status_code != 500 and answer.json["id"] == "\ud800é"


def test_only_the_version_that_has_batches_takes_one(app: Flask, agent: dict[str, str]) -> None:
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
    batch = [message("ping", 1), note, message("nothing", 2), 7]
    answer = post(app, batch, {**agent, "MCP-Protocol-Version": "2025-03-26"})
    assert answer.status_code == 200
    assert [one["id"] for one in answer.json] == [1, 2, None]
    assert [one.get("error", {}).get("code") for one in answer.json] == [None, -32601, -32600]
    assert post(app, batch, agent).json == answer.json  # No header means that version.
    assert post(app, [note, note], agent).status_code == 202
    for version in ("2025-06-18", "2025-11-25", "2026-07-28"):
        refused = post(app, batch, {**agent, "MCP-Protocol-Version": version})
        assert (refused.status_code, refused.json["error"]["code"]) == (400, -32600)
    first = message("initialize", protocolVersion="2025-03-26")
    for wrong in [message("ping")] * 21, [first, message("ping")]:
        assert post(app, wrong, agent).json["error"]["code"] == -32600


def test_request_without_a_handshake_says_its_version_twice(
    app: Flask, agent: dict[str, str]
) -> None:
    def ask(method: str, headers: dict[str, str] | None = None, **params: Any) -> Any:
        said = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
        if "name" in params:
            said["Mcp-Name"] = params["name"]
        given = {name: value for name, value in {**said, **(headers or {})}.items() if value}
        return post(app, message(method, **{"_meta": META, **params}), {**agent, **given})

    found = ask("server/discover").json["result"]
    assert "2026-07-28" in found["supportedVersions"] and found["resultType"] == "complete"
    assert found["cacheScope"] == "private" and found["ttlMs"] > 0
    listed = ask("tools/list").json["result"]
    assert listed["tools"] and listed["cacheScope"] == "private"
    called = ask("tools/call", name="get_health").json["result"]
    assert called["resultType"] == "complete" and not called["isError"]
    coded = ask("tools/call", {"Mcp-Name": "=?base64?Z2V0X2hlYWx0aA==?="}, name="get_health")
    assert "result" in coded.json
    for headers in (
        {"Mcp-Method": "tools/list"},
        {"Mcp-Method": ""},
        {"Mcp-Name": "list_issues"},
        {"Mcp-Name": ""},
        {"Mcp-Name": "=?base64?#?="},
        {"MCP-Protocol-Version": "2025-11-25"},
        {"MCP-Protocol-Version": ""},
    ):
        refused = ask("tools/call", headers, name="get_health")
        assert (refused.status_code, refused.json["error"]["code"]) == (400, -32020), headers
    bare = ask("tools/list", _meta={})
    assert (bare.status_code, bare.json["error"]["code"]) == (400, -32602)
    for method in ("initialize", "ping", "resources/list"):
        unknown = ask(method)
        assert (unknown.status_code, unknown.json["error"]["code"]) == (404, -32601)


def test_unknown_version_is_told_the_known_ones(app: Flask, agent: dict[str, str]) -> None:
    answer = post(app, message("ping"), {**agent, "MCP-Protocol-Version": "1999-01-01"})
    assert answer.status_code == 400 and answer.json["id"] == 1
    assert answer.json["error"]["code"] == -32022
    assert "2025-11-25" in answer.json["error"]["data"]["supported"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Accept": "text/html"}, 406),
        ({"Accept": "text/event-stream"}, 406),
        ({"Accept": "application/json"}, 200),
        ({"Accept": "*/*"}, 200),
        ({"Accept": ""}, 200),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        # A page whose own name was rebound to this machine.
        ({"Origin": "http://evil.example", "Host": "evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example", "Host": "localhost"}, 403),
        ({"Origin": "http://localhost:5000", "Host": "localhost:5000"}, 200),
        ({"Origin": "https://shop.example"}, 200),
    ],
)
def test_headers_of_http_are_checked(
    make_app: Callable[..., Flask], headers: dict[str, str], status: int
) -> None:
    app = make_app(PUBLIC_URL="https://shop.example")
    body = json.dumps(message("ping"))
    answer = post(app, body, {**JSON, **bearer(app), **headers})
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    assert ("error" in answer.json) == (status != 200)


def test_other_methods_and_larger_bodies_are_refused(app: Flask, agent: dict[str, str]) -> None:
    for method in ("GET", "DELETE", "PUT"):
        answer = app.test_client().open("/mcp", method=method, headers=agent)
        assert answer.status_code == 405 and "POST" in answer.headers["Allow"]
    body = json.dumps(message("ping", padding="x" * 64 * 1024))
    assert post(app, body, agent).status_code == 413


def test_mcp_is_off_until_a_token_has_the_scope(make_app: Callable[..., Flask]) -> None:
    app = make_app(API_TOKEN=API_TOKEN)
    of_setting = {"Authorization": f"Bearer {API_TOKEN}"}
    for headers in ({}, of_setting):
        answer = post(app, message("ping"), headers)
        assert answer.status_code == 404 and "MCP is off" in answer.json["error"]["message"]
    headers = bearer(app)
    assert post(app, message("ping"), headers).status_code == 200
    # On this machine, too, nobody is let in without a token.
    refused = post(app, message("ping"), {})
    assert refused.status_code == 401 and refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert post(app, message("ping"), of_setting).status_code == 403
    accounts = parts_of(app).accounts
    with parts_of(app).store.read() as conn:
        name = accounts.list_tokens(conn)[0].name
    accounts.revoke_token(name)
    assert post(app, message("ping"), headers).status_code == 404


def test_store_that_does_not_answer_is_said_with_503(
    app: Flask, agent: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise StoreError("the disk is gone")

    monkeypatch.setattr("app.mcp.kinds.service.counts_by_state", fail)
    answer = post(app, message("tools/call", name="get_health"), agent)
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert answer.json["error"]["code"] == -32603 and "disk" not in answer.text
