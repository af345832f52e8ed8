"""AI calls in whatever form a client sends them, and what is strange in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.ai_call import (
    MAX_CALLS,
    MAX_TOKENS,
    UNNAMED,
    AiCall,
    Tokens,
    kind_of,
    read_ai_calls,
)
from app.protocol.envelope import Envelope, Item
from app.protocol.scrub import Scrubber

NAMES = (
    "op data status trace_id span_id start_timestamp timestamp end_timestamp measurements value "
    "attributes sentry.op sentry.release ai_total_tokens_used gen_ai.operation.name "
    "gen_ai.request.model gen_ai.usage.input_tokens gen_ai.usage.total_tokens"
).split()
START, END = 1795457965.5, 1795457965.75
TRACE, SPAN = "ab" * 16, "cd" * 8
SECRET = "what nobody shall read"
STRANGE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["gen_ai.chat", "ai.run", 10**400, "\ud800", "9" * 30, TRACE]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.agent.name": "Weather",
    "gen_ai.tool.name": "get_weather",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.input_tokens.cached": 60,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.output_tokens.reasoning": 5,
    "gen_ai.usage.total_tokens": 120,
    "gen_ai.input.messages": SECRET,
    "gen_ai.output.messages": SECRET,
}
EXPECTED = AiCall(
    kind="model",
    operation="chat",
    model="gpt-4o",
    answered_by="gpt-4o-2024-08-06",
    provider="openai",
    agent="Weather",
    tool="get_weather",
    release="shop@1",
    environment="staging",
    ms=250.0,
    failed=False,
    tokens=Tokens(100, 20, 120),
    trace_id=TRACE,
    span_id=SPAN,
)


def span(data: Any = None, **members: Any) -> dict[str, Any]:
    ids = {"trace_id": TRACE, "span_id": SPAN}
    times = {"start_timestamp": START, "timestamp": END}
    return {"op": "gen_ai.chat", "data": data, "status": "ok", **ids, **times, **members}


def read(kind: str, payload: Any) -> list[AiCall]:
    """Read calls out of what the scrubber leaves, as the intake does."""
    item = Item({"type": kind}, Scrubber().scrub(payload)[0])
    return read_ai_calls(Envelope({}, [item]))


def of_spans(*spans: Any) -> list[AiCall]:
    names = {"release": "shop@1", "environment": "staging"}
    return read("transaction", {"type": "transaction", "spans": list(spans), **names})


def streamed(data: dict[str, Any], **members: Any) -> dict[str, Any]:
    names = {"sentry.op": "gen_ai.chat", "sentry.release": "shop@1", **data}
    names["sentry.environment"] = "staging"
    attributes = {
        name: {"value": value, "type": "integer" if isinstance(value, int) else "string"}
        for name, value in names.items()
    }
    one = {**span(), "end_timestamp": END, "attributes": attributes, **members}
    return {"version": 2, "items": [one]}


def test_call_is_read_wherever_its_span_stands_and_nothing_of_what_was_said() -> None:
    root = {
        "type": "transaction",
        "release": "shop@1",
        "environment": "staging",
        "start_timestamp": START,
        "timestamp": END,
        "contexts": {"trace": span(CHAT)},
    }
    for found in (
        of_spans({"op": "db.sql.query"}, span(CHAT)),
        read("transaction", root),
        read("span", streamed(CHAT)),
    ):
        assert found == [EXPECTED]
        assert SECRET not in json.dumps(found)


def test_older_names_and_measurements_are_read_too() -> None:
    older = {"ai.model_id": "gpt-4", "ai.prompt_tokens.used": 7, "ai.completion_tokens.used": 2}
    [call] = of_spans(span(older, op="ai.chat_completions.create.openai"))
    assert (call.operation, call.kind) == ("ai.chat_completions.create.openai", "model")
    assert (call.model, call.tokens) == ("gpt-4", Tokens(7, 2, 9))
    measured = {"ai_prompt_tokens_used": {"value": 7}, "ai_total_tokens_used": {"value": 9}}
    [call] = of_spans(span({"gen_ai.system": "cohere"}, measurements=measured))
    assert (call.provider, call.tokens) == ("cohere", Tokens(7, None, 9))
    [call] = of_spans(span({"gen_ai.usage.prompt_tokens": "5"}))
    assert call.tokens == Tokens(5, None, 5)


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("chat", "model"),
        ("embeddings", "model"),
        ("whatever comes", "model"),
        ("ai.generateText.doGenerate", "model"),
        ("ai.run.langchain", "model"),
        ("invoke_agent", "agent"),
        ("ai.generateText", "agent"),
        ("ai.pipeline", "agent"),
        ("ai.run", "agent"),
        ("execute_tool", "tool"),
        ("ai.toolCall", "tool"),
        ("handoff", "handoff"),
    ],
)
def test_agents_and_tools_are_told_from_models(operation: str, kind: str) -> None:
    assert kind_of(operation) == kind


@pytest.mark.parametrize(
    ("status", "failed"),
    [("ok", False), ("error", True), ("internal_error", True), ("cancelled", False), (None, False)],
)
def test_failure_is_that_of_transactions(status: Any, failed: bool) -> None:
    for found in (of_spans(span(status=status)), read("span", streamed({}, status=status))):
        assert [call.failed for call in found] == [failed]


@pytest.mark.parametrize(
    "count",
    [float("nan"), float("inf"), -1, True, "many", 10**40, 10**9 + 1, 1.5, [3], {"value": 3}, None],
)
def test_nonsense_is_no_count_of_tokens(count: Any) -> None:
    for name in ("input", "output", "total"):
        data = {f"gen_ai.usage.{name}_tokens": count}
        for found in (of_spans(span(data)), read("span", streamed(data))):
            assert [call.tokens for call in found] == [Tokens(None, None, None)]


def test_what_is_strange_in_part_is_still_a_call() -> None:
    strange = [
        {"op": "gen_ai."},
        {"op": "gen_ai.chat", "data": ["no", "dict"], "measurements": [1]},
        {"op": ["gen_ai.chat"], "data": {"gen_ai.operation.name": "\ud800chat\x00"}},
        span({"gen_ai.request.model": {"a": 1}}, trace_id=7, span_id="0" * 16, timestamp="?"),
    ]
    found = of_spans(None, 1, "gen_ai.chat", [], *strange)
    assert [call.operation for call in found] == [UNNAMED, "chat", "\ufffdchat\ufffd", "chat"]
    assert {(call.model, call.ms, call.span_id) for call in found} == {("", None, None)}
    [long] = of_spans(span({name: "x" * 900 for name in CHAT} | {"gen_ai.operation.name": "y" * 9}))
    assert max(len(value) for value in long if isinstance(value, str)) == 120


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("transaction", {"spans": {"op": "gen_ai.chat"}, "contexts": [1]}),
        ("transaction", {"spans": [{"op": "air.traffic"}, {"op": None}, {"data": {"a": 1}}]}),
        ("transaction", {"contexts": {"trace": "gen_ai.chat"}}),
        ("transaction", [span()]),
        ("span", {"items": [None, 1, {"attributes": []}, {"attributes": {"sentry.op": "ai.run"}}]}),
        ("span", {"items": "gen_ai.chat"}),
        ("event", {"spans": [span()]}),
    ],
)
def test_what_is_no_call_is_none(kind: str, payload: Any) -> None:
    assert read(kind, payload) == []


def test_of_ten_thousand_calls_in_an_envelope_the_first_thousand_count() -> None:
    spans = [span(span_id=f"{number:016x}") for number in range(1, 10_001)]
    items = [Item({"type": "transaction"}, {"spans": spans}), Item({"type": "span"}, streamed({}))]
    found = read_ai_calls(Envelope({}, items))
    assert [call.span_id for call in found] == [one["span_id"] for one in spans[:MAX_CALLS]]


@given(st.dictionaries(st.sampled_from(NAMES), STRANGE), STRANGE, STRANGE)
def test_whatever_a_span_holds_is_read_as_a_database_can_keep_it(
    one: dict[str, Any], other: Any, names: Any
) -> None:
    spans, contexts = [{"op": "gen_ai.chat", **one}, one, other], {"trace": one}
    items = [
        Item({"type": "transaction"}, {"spans": spans, "contexts": contexts, "release": names}),
        Item({"type": "span"}, {"items": [{"attributes": one}, one, other]}),
        Item({"type": "span"}, {"items": other}),
    ]
    for call in read_ai_calls(Envelope({}, items)):
        texts = [value for value in call if isinstance(value, str)]
        assert "\x00" not in "".join(texts).encode().decode()
        assert all(n is None or 0 <= n <= 2 * MAX_TOKENS for n in call.tokens)
        assert call.ms is None or 0 <= call.ms < 2 * 86_400_000
