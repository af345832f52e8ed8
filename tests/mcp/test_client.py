"""MCP's own client on a real socket lists, calls and is refused as its token says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.types import CallToolResult

from app import sentry
from tests.mcp.steps import apart, bearer, listening

pytestmark = pytest.mark.one_database

Session = Callable[[Client], Any]
READING = {
    *("list_issues", "get_issue", "similar_issues", "search_events", "get_event"),
    *("list_deliveries", "get_health", "get_performance", "list_projects"),
    *("list_monitors", "get_monitor", "get_trace", "search_logs"),
}
OF_MEMORIES = {"list_memories", "search_memories"}
CHANGING = {
    *("resolve_issue", "ignore_issue", "assign_issue", "comment_on_issue", "replay_delivery"),
}


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    with listening(app) as url:
        yield url


def run(url: str, headers: dict[str, str], session: Session, mode: str = "auto") -> Any:
    """Let a client connect and do something."""

    async def connected() -> Any:
        async with (
            create_mcp_http_client(headers=headers) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            return await session(client)

    # A thread of its own: Playwright leaves a loop running in that of the tests.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, connected()).result()


def text_of(result: CallToolResult) -> str:
    [content] = result.content
    return str(content.text)


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_client_agrees_on_a_version_and_reads(
    app: Flask, url: str, mode: str, version: str
) -> None:
    sentry.capture_message("card declined")

    async def session(client: Client) -> None:
        assert client.protocol_version == version and client.server_info.name == "devenviro"
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert listed.keys() == READING
        assert all(tool.annotations.read_only_hint for tool in listed.values())
        found = text_of(await client.call_tool("list_issues", {"query": "is:unresolved"}))
        assert "title: card declined" in apart(found)[1]
        assert "#1 in project 1: unresolved" in found
        events = text_of(await client.call_tool("get_issue", {"issue_id": 1}))
        event_id = re.search(r"Newest event: ([0-9a-f]{32})", events)[1]
        event = text_of(await client.call_tool("get_event", {"event_id": event_id}))
        assert "# card declined" in apart(event)[1]

    run(url, bearer(app), session, mode)


def test_token_that_reads_is_refused_to_change_and_nothing_changes(app: Flask, url: str) -> None:
    sentry.capture_message("card declined")

    async def session(client: Client) -> None:
        for name, arguments in (
            ("resolve_issue", {"issue_id": 1}),
            ("comment_on_issue", {"issue_id": 1, "text": "x"}),
        ):
            refused = await client.call_tool(name, arguments)
            assert refused.is_error and "needs the scope mcp:write" in text_of(refused)
        memories = await client.call_tool("list_memories", {})
        assert memories.is_error and "names no users" in text_of(memories)
        issue = text_of(await client.call_tool("get_issue", {"issue_id": 1}))
        assert ": unresolved" in issue and "commented" not in issue
        with pytest.raises(MCPError, match="no tool of this name"):
            await client.call_tool("drop_everything", {})

    run(url, bearer(app), session)


def test_token_that_may_change_resolves_ignores_assigns_and_comments(app: Flask, url: str) -> None:
    sentry.capture_message("card declined")

    async def session(client: Client) -> None:
        assert {tool.name for tool in (await client.list_tools()).tools} == READING | CHANGING
        for name, arguments, said in (
            ("assign_issue", {"issue_id": 1, "assigned_to": "admin"}, "assigned_to: "),
            ("comment_on_issue", {"issue_id": 1, "text": "known at the bank"}, None),
            ("ignore_issue", {"issue_id": 1, "ignore_until": {"events": 5}}, None),
            ("resolve_issue", {"issue_id": 1}, None),
            ("resolve_issue", {"issue_id": 1, "resolved_in": {"release": "no"}}, "resolved_in.rel"),
            ("replay_delivery", {"envelope_id": 1}, "has no DSN"),
        ):
            answer = await client.call_tool(name, arguments)
            if name == "assign_issue":
                assert not answer.is_error, text_of(answer)
            else:
                assert answer.is_error == (said is not None), text_of(answer)
                assert (said or "") in text_of(answer)
        outside, within = apart(text_of(await client.call_tool("get_issue", {"issue_id": 1})))
        assert outside[0].startswith("#1 in project 1: resolved,")
        assert {"assigned to: admin", "note: known at the bank"} <= set(within)
        assert any(line.startswith("by: token:agent") for line in within)

    run(url, bearer(app, "mcp", "mcp:write"), session)


def test_memories_are_those_of_the_users_of_the_token(app: Flask, url: str) -> None:
    browser = app.test_client()
    for user, content in ("ada", "tea without sugar"), ("bob", "coffee, black"):
        stored = browser.post("/memories", json={"user_id": user, "content": content})
        assert stored.status_code == 201

    async def session(client: Client) -> None:
        assert {tool.name for tool in (await client.list_tools()).tools} == READING | OF_MEMORIES
        for name, arguments in ("list_memories", {}), ("search_memories", {"query": "a drink"}):
            found = await client.call_tool(name, arguments)
            assert not found.is_error and "tea without sugar" in apart(text_of(found))[1]
            foreign = await client.call_tool(name, {**arguments, "user_id": "bob"})
            assert foreign.is_error and "no memories of this user" in text_of(foreign)
            assert "coffee" not in text_of(found) + text_of(foreign)

    run(url, bearer(app, memory_users=["ada"]), session)


def test_client_without_a_token_that_works_hears_why(app: Flask, url: str) -> None:
    def reason(headers: dict[str, str]) -> str:
        async def session(client: Client) -> None:
            await client.list_tools()

        with pytest.raises(BaseExceptionGroup) as caught:
            run(url, headers, session)
        error: Any = caught.value
        while isinstance(error, BaseExceptionGroup):
            [error] = error.exceptions
        return str(error)

    other = bearer(app, "read")
    assert "MCP is off: no token has the scope mcp" in reason(other)
    bearer(app)
    assert "the token lacks the scope 'mcp'" in reason(other)
    assert "an API token is needed" in reason({})
    assert "unknown, revoked or expired" in reason({"Authorization": "Bearer dev_nonsense"})
