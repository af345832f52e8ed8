"""The tools: what a token reaches, what a call is told, the audit log, and what it costs."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from app.accounts import audit
from app.mcp.answers import MAX_CHARACTERS
from app.mcp.tools import TOOLS
from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from app.search.indexing import catch_up
from app.signals.kinds import SIGNALS
from app.signals.walk import catch_up as catch_up_with_signals
from tests.conftest import parts_of
from tests.mcp.steps import apart, bearer, call, message, post
from tests.monitors.steps import check_in
from tests.questions import questions

OWN, FOREIGN = 2, 3
# The most questions that a call may ask of the store, its token and its entry of the audit log
# included.
MAX_QUESTIONS = 16


@pytest.fixture
def shops(app: Flask) -> dict[int, dict[str, Any]]:
    """Return an event, its issue and its delivery of each of two projects."""
    found: dict[int, dict[str, Any]] = {}
    for name, project_id in ("Own shop", OWN), ("Foreign shop", FOREIGN):
        assert create_project(parts_of(app).store, name).id == project_id
        event_id = uuid.uuid4().hex
        trace_id, slug = uuid.uuid4().hex, f"{name.split()[0].lower()}-job"
        payload = {"message": f"{name} is out of tea", "tags": {"shop": name}}
        payload["contexts"] = {"trace": {"trace_id": trace_id}}
        envelope = Envelope({"event_id": event_id}, [Item({"type": "event"}, payload)])
        parts_of(app).intake.accept(envelope, project_id=project_id, timeout_s=5)
        line = {"body": payload["message"], "level": "info", "timestamp": 1795457965.0}
        others = (
            Item({"type": "log"}, {"items": [line]}),
            Item({"type": "check_in"}, check_in(slug)),
        )
        parts_of(app).intake.accept(Envelope({}, [*others]), project_id=project_id, timeout_s=5)
        catch_up_with_signals(parts_of(app).store, SIGNALS)
        named = app.test_client().patch(
            f"/api/monitors/{slug}?project_id={project_id}", json={"name": f"{name} job"}
        )
        assert named.status_code == 200
        issue = app.test_client().get(f"/api/issues?project_id={project_id}").json["issues"][0]
        delivery = app.test_client().get(f"/api/deliveries?project_id={project_id}").json
        found[project_id] = {
            "event_id": event_id,
            "issue_id": issue["id"],
            "envelope_id": delivery["deliveries"][-1]["id"],
            "trace_id": trace_id,
            "slug": slug,
        }
    catch_up(parts_of(app).store)
    return found


def arguments_of(shop: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the arguments with which each tool is about one object."""
    issue, event = {"issue_id": shop["issue_id"]}, {"event_id": shop["event_id"]}
    return {
        "get_issue": issue,
        "similar_issues": issue,
        "get_event": event,
        "get_trace": {"trace_id": shop["trace_id"]},
        "get_monitor": {"slug": str(shop["slug"])},
        "resolve_issue": issue,
        "ignore_issue": issue,
        "assign_issue": {**issue, "assigned_to": None},
        "comment_on_issue": {**issue, "text": "x"},
        "replay_delivery": {"envelope_id": shop["envelope_id"]},
    }


LISTS = (
    *("list_issues", "search_events", "list_deliveries", "get_performance"),
    *("list_monitors", "search_logs"),
)
# What an answer says of an object that is out of reach, or that does not exist.
UNKNOWN = "no (issue|event|envelope) has this id|nothing is stored of|has no monitor with"


def test_token_of_a_project_sees_that_one_only(
    app: Flask, shops: dict[int, dict[str, Any]]
) -> None:
    agent = bearer(app, "mcp", "mcp:write", projects=[OWN])
    foreign, missing = arguments_of(shops[FOREIGN]), arguments_of(dict.fromkeys(shops[OWN], 9**9))
    missing |= {"get_event": {"event_id": "0" * 32}, "get_trace": {"trace_id": "0" * 32}}
    for name, arguments in foreign.items():
        answer = call(app, agent, name, **arguments)
        assert answer.is_error and re.search(UNKNOWN, answer.text)
        assert answer == call(app, agent, name, **missing[name]), name
    for name in LISTS:
        whole = call(app, agent, name)
        assert not whole.is_error and "Foreign" not in whole.text, name
        assert "Own shop" in whole.text or name == "get_performance"
        other = call(app, agent, name, project_id=FOREIGN)
        assert other.is_error and "no such project" in other.text
    for query in ("project:3", "tea", "shop:Foreign*", "project:[2,3]"):
        for name in ("list_issues", "search_events", "search_logs"):
            assert "Foreign" not in call(app, agent, name, query=query).text
    assert "Foreign" not in call(app, agent, "search_events", issue_id=2).text
    assert (
        "Foreign"
        not in call(app, agent, "list_deliveries", **{"event_id": shops[FOREIGN]["event_id"]}).text
    )
    projects = call(app, agent, "list_projects").text
    assert "Own shop" in projects and "Foreign" not in projects
    assert "Envelopes" not in call(app, agent, "get_health").text
    issue = app.test_client().get(f"/api/issues/{shops[FOREIGN]['issue_id']}").json
    assert issue["status"] == "unresolved"


def test_token_of_two_projects_has_to_name_one(
    app: Flask, shops: dict[int, dict[str, Any]]
) -> None:
    agent = bearer(app, projects=[OWN, FOREIGN])
    for name in LISTS:
        assert call(app, agent, name).text == "project_id: one of 2, 3 is expected"
        assert not call(app, agent, name, project_id=FOREIGN).is_error
        assert "no such project" in call(app, agent, name, project_id=1).text
    assert not call(app, agent, "get_event", event_id=shops[FOREIGN]["event_id"]).is_error


@pytest.mark.one_database
def test_wrong_argument_is_named(app: Flask) -> None:
    agent = bearer(app, "mcp", "mcp:write", memory_users=["ada", "bob"])
    for name, arguments, field in (
        ("get_issue", {}, "issue_id"),
        ("get_issue", {"issue_id": "seven"}, "issue_id"),
        ("get_issue", {"issue_id": 2**63}, "issue_id"),
        ("get_issue", {"issue_id": 1, "nonsense": 1}, "nonsense"),
        ("get_issue", {"issue_id": 1, "max_characters": 10**9}, "max_characters"),
        ("list_issues", {"limit": 51}, "limit"),
        ("list_issues", {"cursor": "nonsense"}, "cursor"),
        ("list_issues", {"query": "is:"}, "query"),
        ("list_issues", {"assigned": "me"}, "assigned"),
        ("list_issues", {"query": "assigned:me"}, "query"),
        ("list_issues", {"period": "day", "start": "2026-01-01"}, "start"),
        ("search_events", {"query": "is:unresolved"}, "query"),
        ("list_deliveries", {"state": "lost"}, "state"),
        ("get_performance", {"by": "moon"}, "by"),
        ("resolve_issue", {"issue_id": True}, "issue_id"),
        ("resolve_issue", {"issue_id": 1, "resolved_in": {}}, "resolved_in"),
        ("assign_issue", {"issue_id": 1}, "assigned_to"),
        ("assign_issue", {"issue_id": 1, "assigned_to": "nobody at all"}, "assigned_to"),
        ("comment_on_issue", {"issue_id": 1, "text": " \n"}, "text"),
        ("ignore_issue", {"issue_id": 1, "ignore_until": {"events": 0}}, "ignore_until.events"),
        ("list_memories", {}, "user_id"),
        ("search_memories", {"query": " ", "user_id": "ada"}, "query"),
    ):
        answer = call(app, agent, name, **arguments)
        assert answer.is_error and answer.text.startswith(f"{field}: "), (name, answer)


@pytest.mark.one_database
def test_thousands_of_wrong_arguments_are_told_in_a_few_lines(app: Flask) -> None:
    answer = call(
        app, bearer(app), "list_issues", **{f"wrong{number}": 1 for number in range(3000)}
    )
    lines = answer.text.split("\n")
    assert answer.is_error and len(lines) == 11 and lines[-1] == "and 2990 more"


@pytest.mark.one_database
def test_calls_are_noted_reads_once_a_minute_and_changes_always(
    app: Flask, shops: dict[int, dict[str, Any]]
) -> None:
    reader, writer = bearer(app), bearer(app, "mcp", "mcp:write", memory_users=["ada"])
    issue = shops[OWN]["issue_id"]
    for _ in range(5):
        call(app, reader, "get_issue", issue_id=issue)
        call(app, reader, "resolve_issue", issue_id=issue)
        call(app, writer, "comment_on_issue", issue_id=issue, text="x")
    call(app, reader, "list_issues", query="tea", project_id=2)
    call(app, writer, "get_issue", issue_id=issue)
    call(app, writer, "list_memories", user_id="ada")
    delivery = shops[OWN]["envelope_id"]
    for _ in range(2):
        call(app, writer, "replay_delivery", envelope_id=delivery)  # It has no DSN.
        call(app, reader, "list_deliveries", state="lost")
    call(app, bearer(app, projects=[OWN]), "get_performance")
    with parts_of(app).store.read() as conn:
        entries = audit.entries_of(audit.page_of_entries(conn, limit=100))
    noted = [
        (entry.action, entry.target, entry.detail)
        for entry in reversed(entries)
        if entry.action.startswith("tool_")
    ]
    refused = "resolve_issue changes something: the token needs the scope mcp:write"
    wrong = call(app, bearer(app), "list_deliveries", state="lost").text
    assert noted == [
        ("tool_read", "get_issue", f"issue {issue}"),
        ("tool_refused", "resolve_issue", refused),
        *[("tool_changed", "comment_on_issue", f"issue {issue}")] * 5,
        ("tool_read", "list_issues", "project 2"),
        ("tool_read", "get_issue", f"issue {issue}"),
        ("tool_read", "list_memories", ""),
        (
            "tool_refused",
            "replay_delivery",
            f"delivery {delivery}: project {OWN} has no DSN to send it to",
        ),
        ("tool_refused", "list_deliveries", wrong),
        ("tool_read", "get_performance", ""),
    ]
    assert all(
        entry.actor.startswith("token:agent") for entry in entries if "tool_" in entry.action
    )
    assert {"tool_read", "tool_changed", "tool_refused"} <= set(audit.EVERYDAY)


@pytest.mark.one_database
def test_no_call_asks_many_questions_or_answers_at_length(
    app: Flask, shops: dict[int, dict[str, Any]]
) -> None:
    agent = bearer(app, "mcp", "mcp:write", memory_users=["ada"])
    arguments = {**dict.fromkeys(TOOLS, {}), **arguments_of(shops[OWN])}
    arguments["search_memories"] = {"query": "tea"}
    arguments["get_monitor"] |= {"project_id": OWN}
    call(app, agent, "search_memories", query="tea")  # The model is loaded once.
    for name in TOOLS:
        with questions() as asked:
            answer = call(app, agent, name, **arguments[name])
        assert len(asked) <= MAX_QUESTIONS, (name, len(asked))
        assert len(answer.text) <= MAX_CHARACTERS
        assert answer.is_error == (name == "replay_delivery"), answer.text


@pytest.mark.one_database
def test_answer_is_cut_where_the_caller_says(app: Flask, shops: dict[int, dict[str, Any]]) -> None:
    agent = bearer(app)
    payload = {"message": "x" * 5000, "tags": {f"tag{n}": "y" * 150 for n in range(40)}}
    event_id = uuid.uuid4().hex
    envelope = Envelope({"event_id": event_id}, [Item({"type": "event"}, payload)])
    parts_of(app).intake.accept(envelope, project_id=OWN, timeout_s=5)
    whole = call(app, agent, "get_event", event_id=event_id).text
    short = call(app, agent, "get_event", event_id=event_id, max_characters=1000).text
    assert len(short) <= 1000 < 5000 < len(whole) and "cut here" in apart(short)[0][-1]
    assert "cut here" not in whole and apart(short)[1]


def test_lists_go_on_with_their_cursor(app: Flask) -> None:
    agent = bearer(app)
    for number in range(3):
        event_id = uuid.uuid4().hex
        envelope = Envelope(
            {"event_id": event_id}, [Item({"type": "event"}, {"message": f"tea {'abc'[number]}"})]
        )
        parts_of(app).intake.accept(envelope, project_id=1, timeout_s=5)
    for name in ("list_issues", "search_events", "list_deliveries"):
        seen: list[str] = []
        cursor: str | None = None
        while cursor is not None or not seen:
            more = {"cursor": cursor} if cursor else {}
            text = call(app, agent, name, limit=2, **more).text
            seen += [line for line in apart(text)[1] if line.startswith("title: tea")]
            found = re.search(r"has the cursor (\S+)", text)
            cursor = found[1] if found else None
        assert sorted(seen) == ["title: tea a", "title: tea b", "title: tea c"], name


@pytest.mark.one_database
def test_schemas_are_valid_and_short(app: Flask) -> None:
    agent = bearer(app, "mcp", "mcp:write", memory_users=["ada"])
    listed = post(app, message("tools/list"), agent).json["result"]["tools"]
    assert {tool["name"] for tool in listed} == TOOLS.keys()
    for tool in listed:
        schema = tool["inputSchema"]
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object" and schema["additionalProperties"] is False
        assert tool["title"] and tool["description"].endswith(".")
        assert len(str(tool)) < 3000, tool["name"]
    [assign] = [tool for tool in listed if tool["name"] == "assign_issue"]
    Draft202012Validator(assign["inputSchema"]).validate({"issue_id": 1, "assigned_to": None})


def test_memories_are_filtered_in_the_list_and_in_the_search(app: Flask) -> None:
    agent = bearer(app, "mcp", memory_users=["ada"])
    for team in ("shop", "web"):
        body = {"user_id": "ada", "content": f"tea of {team}", "metadata": {"team": team}}
        assert app.test_client().post("/memories", json=body).status_code == 201
    filters = {"field": "metadata.team", "eq": "shop"}
    for name, more in ("list_memories", {}), ("search_memories", {"query": "tea"}):
        text = call(app, agent, name, filters=filters, **more).text
        assert "tea of shop" in text and "tea of web" not in text, name
    wrong = call(app, agent, "list_memories", filters={"field": "metadata.team"})
    assert wrong.is_error and "filters: one of eq" in wrong.text
