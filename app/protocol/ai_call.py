"""AI calls: the calls of a program to a model, an agent or a tool, read from its spans.

The op of such a span begins with ``gen_ai.`` (older clients: ``ai.``), or the span has the
attribute ``gen_ai.operation.name``. It comes inside a transaction, as the span of the transaction
itself, or as a streamed span. This module reads only names, counts and times. Such spans may also
contain prompts and responses; this module never reads them.

Sources: https://develop.sentry.dev/sdk/telemetry/traces/modules/ai-agents/,
https://getsentry.github.io/sentry-conventions/generated/attributes/gen_ai.html and
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/, 2026-11-26.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple

from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_hex, read_int, read_list, read_name
from app.protocol.transaction import MAX_MS, is_failure, milliseconds

# The maximum for one envelope; further calls are not counted. SDKs send at most this many spans in
# one envelope.
MAX_CALLS = 1000
# A larger number of tokens is an error of the client and would make every sum wrong.
MAX_TOKENS = 10**9
UNNAMED = "<unnamed>"

Kind = Literal["model", "agent", "tool", "handoff"]
Read = Callable[[str], object]

_PREFIXES = ("gen_ai.", "ai.")
_OPERATION = "gen_ai.operation.name"
_LENGTHS = {"operation": 64, "release": 250, "environment": 64}
_NAME_LENGTH = 120
# The first prefix that matches decides; without a match, it is a model. The spans of agents contain
# the spans of their model calls, so the two kinds must not be confused. These are Sentry's rules.
_KINDS: tuple[tuple[str, Kind], ...] = (
    ("ai.run.doGenerate", "model"),
    ("ai.streamText.do", "model"),
    ("ai.streamObject.do", "model"),
    ("ai.generateText.do", "model"),
    ("ai.generateObject.do", "model"),
    ("invoke_agent", "agent"),
    ("create_agent", "agent"),
    ("invoke_workflow", "agent"),
    ("ai.agent", "agent"),
    ("ai.pipeline", "agent"),
    ("ai.run.generate", "agent"),
    ("ai.streamText", "agent"),
    ("ai.streamObject", "agent"),
    ("ai.generateText", "agent"),
    ("ai.generateObject", "agent"),
    ("execute_tool", "tool"),
    ("ai.tool", "tool"),
    ("retrieval", "tool"),
    ("handoff", "handoff"),
)
# Each tuple has the names of one count, the current name first.
_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "ai.prompt_tokens.used")
_OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "ai.completion_tokens.used",
)
_TOTAL = ("gen_ai.usage.total_tokens", "ai.total_tokens.used")


class Tokens(NamedTuple):
    """The numbers of tokens of a call; ``None`` for a number that the span does not have.

    :param input: includes cached tokens.
    :param output: includes reasoning tokens.
    :param total: the total from the span, or the sum of both.
    """

    input: int | None
    output: int | None
    total: int | None


class AiCall(NamedTuple):
    """An AI call.

    :param operation: the op without ``gen_ai.``: ``chat``, ``embeddings``, ``execute_tool``.
    :param model: the requested model, or the model that answered; empty if both are unknown.
    :param answered_by: the model that answered, if the span has it.
    :param release: empty if the client sends none; the same for ``environment``.
    :param ms: the duration in milliseconds; ``None`` if it is unknown or not plausible.
    :param trace_id: 32 hex digits, or ``None`` if it is not valid.
    :param span_id: 16 hex digits, or ``None`` if it is not valid.
    """

    kind: Kind
    operation: str
    model: str
    answered_by: str | None
    provider: str | None
    agent: str | None
    tool: str | None
    release: str
    environment: str
    ms: float | None
    failed: bool
    tokens: Tokens
    trace_id: str | None
    span_id: str | None


class _Span(NamedTuple):
    """A span of either form, with access to its values."""

    of: Mapping[str, Any]
    op: object
    read: Read
    ended: object
    trace_id: object
    release: object
    environment: object


def read_ai_calls(envelope: Envelope) -> list[AiCall]:
    """Return the AI calls in an envelope, in order, at most :data:`MAX_CALLS` of them."""
    found: list[AiCall] = []
    for item in envelope.items:
        spans = _SPANS.get(item.type)
        if spans and isinstance(item.payload, dict):
            found += map(_read, islice(spans(item.payload), MAX_CALLS - len(found)))
    return found


def kind_of(operation: str) -> Kind:
    """Return the kind of an operation: model, agent, tool or handoff."""
    if operation == "ai.run":
        return "agent"
    return next((kind for prefix, kind in _KINDS if operation.startswith(prefix)), "model")


def _of_transaction(payload: dict[str, Any]) -> Iterator[_Span]:
    trace = read_dict(read_dict(payload.get("contexts")).get("trace"))
    known = trace.get("trace_id"), payload.get("release"), payload.get("environment")
    if is_ai_span(trace.get("op"), trace.get("data")):
        times = {name: payload.get(name) for name in ("start_timestamp", "timestamp")}
        yield _embedded({**trace, **times}, *known)
    for span in read_list(payload.get("spans")):
        if isinstance(span, dict) and is_ai_span(span.get("op"), span.get("data")):
            yield _embedded(span, *known)


def _of_stream(payload: dict[str, Any]) -> Iterator[_Span]:
    for span in read_list(payload.get("items")):
        attributes = read_dict(read_dict(span).get("attributes"))
        read = _values_of(attributes)
        if attributes and is_ai_span(op := read("sentry.op"), {_OPERATION: read(_OPERATION)}):
            names = read("sentry.release"), read("sentry.environment")
            yield _Span(span, op, read, span.get("end_timestamp"), None, *names)


def is_ai_span(op: object, data: object) -> bool:
    """Return whether a span with this op and these data is an AI call."""
    if isinstance(op, str) and op.startswith(_PREFIXES):
        return True
    return isinstance(data, dict) and isinstance(data.get(_OPERATION), str)


def _embedded(span: dict[str, Any], trace_id: object, *names: object) -> _Span:
    data, measured = read_dict(span.get("data")), read_dict(span.get("measurements"))

    def read(name: str) -> object:
        if name in data or not measured:
            return data.get(name)
        # Clients from 2023 send tokens as measurements: "ai_prompt_tokens_used".
        return read_dict(measured.get(name.replace(".", "_"))).get("value")

    return _Span(span, span.get("op"), read, span.get("timestamp"), trace_id, *names)


def _values_of(attributes: dict[str, Any]) -> Read:
    return lambda name: read_dict(attributes.get(name)).get("value")


_SPANS: dict[str, Callable[[dict[str, Any]], Iterator[_Span]]] = {
    "transaction": _of_transaction,
    "span": _of_stream,
}


def _read(span: _Span) -> AiCall:
    read, operation = span.read, _operation(span)
    answered_by = _name(read("gen_ai.response.model"))
    model = _name(read("gen_ai.request.model")) or answered_by or _name(read("ai.model_id"))
    ms = milliseconds(span.of.get("start_timestamp"), span.ended)
    return AiCall(
        kind_of(operation),
        operation,
        # The requested model comes first. A failed call has only this one, and it must count under
        # the same model as the successful calls, for the failure rate.
        model or "",
        answered_by,
        _name(read("gen_ai.provider.name")) or _name(read("gen_ai.system")),
        _name(read("gen_ai.agent.name")),
        _name(read("gen_ai.tool.name")),
        (read_name(span.release) or "")[: _LENGTHS["release"]],
        (read_name(span.environment) or "")[: _LENGTHS["environment"]],
        ms if ms is not None and 0 <= ms <= MAX_MS else None,
        is_failure(span.of.get("status")),
        _tokens(read),
        read_hex(span.of.get("trace_id"), 32) or read_hex(span.trace_id, 32),
        read_hex(span.of.get("span_id"), 16),
    )


def _operation(span: _Span) -> str:
    name = read_name(span.read(_OPERATION)) or read_name(span.op) or ""
    return name.removeprefix("gen_ai.")[: _LENGTHS["operation"]] or UNNAMED


def _name(value: object) -> str | None:
    name = read_name(value) if isinstance(value, str) else None
    return name and name[:_NAME_LENGTH]


def _tokens(read: Read) -> Tokens:
    given, made, total = (_count(read, names) for names in (_INPUT, _OUTPUT, _TOTAL))
    if total is None and (given is not None or made is not None):
        total = (given or 0) + (made or 0)
    return Tokens(given, made, total)


def _count(read: Read, names: tuple[str, ...]) -> int | None:
    counts = (read_int(read(name)) for name in names)
    return next((n for n in counts if n is not None and 0 <= n <= MAX_TOKENS), None)
