"""The tool that reads a trace: what one request or job caused in all programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from app.inputs import Missing
from app.mcp.answers import Answer, at, number
from app.mcp.kinds.arguments import Arguments
from app.mcp.reach import Reach
from app.mcp.tools import tool
from app.mcp.untrusted import one_line
from app.signals.logs.of_trace import read_trace_or_lines
from app.traces.folding import Folded, Row, fold
from app.traces.reading import Trace
from app.traces.tree import Tree, make_tree
from app.web.current import current_config, current_store

MAX_TEXT = 160
# Spans deeper than this are shown at this depth.
MAX_DEPTH = 20


class TraceArguments(Arguments):
    """Which trace to read."""

    trace_id: Annotated[str, Field(max_length=36, description="32 hexadecimal digits.")]
    span_id: (
        Annotated[str, Field(max_length=16, description="Only what is below this span.")] | None
    ) = None


@tool("get_trace", "Read a trace")
def get_trace(given: TraceArguments, reach: Reach, answer: Answer) -> None:
    """Read what one request or job caused in all programs: its errors, and its spans as a tree,
    each with milliseconds since the beginning, its duration, its self time, project, id and words.
    Spans alike share a line (× 214); `span_id` opens what is folded below a span.
    """
    with current_store().read() as conn:
        trace = read_trace_or_lines(conn, given.trace_id, reach.projects)
    if trace is None:
        raise Missing("nothing is stored of a trace with this id", "trace_id")
    tree = make_tree(trace.spans, trace.events)
    _say_trace(answer, trace)
    _say_errors(answer, trace)
    _say_spans(answer, tree, given.span_id)


def _say_trace(answer: Answer, trace: Trace) -> None:
    spans, errors = number(len(trace.spans), "span"), number(len(trace.events), "error")
    more = ", and more that are not read" if trace.has_more_spans else ""
    answer.say(f"Trace {trace.trace_id}: {spans}{more}; {errors}")
    if not trace.spans and not trace.events:
        answer.say(f"Only lines of logs are stored of it: search_logs, trace:{trace.trace_id}")
    answer.say(f"Page: {current_config().public_url}/admin/traces/{trace.trace_id}")


def _say_errors(answer: Answer, trace: Trace) -> None:
    for event in trace.events:
        span = f", in span {event.span_id}" if event.span_id else ""
        answer.say(
            f"Event {event.event_id} of issue #{event.issue_id} in project {event.project_id}:"
            f" {event.level}, {at(event.timestamp)}{span}"
        )
        answer.quote(title=event.title)


def _say_spans(answer: Answer, tree: Tree, span_id: str | None) -> None:
    node = None if span_id is None else tree.find(span_id.lower())
    if span_id is not None and node is None:
        raise Missing("the trace has no span with this id", "span_id")
    folded = fold(tree, node)
    lines = [_line(row, folded) for row in _rows(folded)]
    if lines:
        answer.say("Spans, each below the one that it belongs to; * is the slowest path:")
        answer.quote_text("\n".join(lines))
    if far := sum(node.is_far for node in tree.nodes):
        answer.say(f"{number(far, 'span')} with ? ms: more than a day away, as by a wrong clock.")
    if folded.left:
        answer.say(f"{number(folded.left, 'line')} more are not shown: open a span.")


def _rows(folded: Folded) -> Iterator[Row]:
    """Yield the rows in the order of a page, those of several spans alike without what is below.

    Nothing recurses: a tree may be deep.
    """
    waiting = [folded.top] if folded.top else []
    waiting += folded.rows
    waiting.reverse()
    while waiting:
        row = waiting.pop()
        yield row
        waiting += () if row.is_group else reversed(row.rows)


def _line(row: Row, folded: Folded) -> str:
    span, node = row.node.span, row.node
    began = min((one.span.start or 0 for one in row.nodes if one.fits), default=None)
    since = "?" if began is None else f"+{(began - folded.first) * 1000:.0f}"
    times = f" × {len(row.nodes)}" if row.is_group else ""
    words = " ".join(filter(None, (span.op, span.description or span.transaction)))
    facts = [
        f"{since} ms",
        f"{_ms(row.ms)} (self {_ms(row.self_ms)})",
        f"project {node.project_id}",
        *([f"span {span.span_id}"] if span.span_id else []),
        *([f"{number(node.errors_in, 'error')}"] if node.errors_in else []),
        *(["failed"] if span.failed else []),
        *([f"{number(row.folded, 'span')} folded"] if row.folded and not row.is_group else []),
    ]
    indent = "  " * min(row.depth, MAX_DEPTH) + ("* " if node.is_slowest else "")
    return f"{indent}{one_line(words or '(unnamed)', MAX_TEXT)}{times}: {', '.join(facts)}"


def _ms(value: float | None) -> str:
    return "? ms" if value is None else f"{value:.1f} ms"
