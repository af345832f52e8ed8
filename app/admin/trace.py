"""A trace: the spans of all projects as a waterfall, with errors where they happened.

The page begins at the top of the trace, or at a span that its address names.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from flask import render_template, request
from flask.typing import ResponseReturnValue

from app.admin import bp
from app.admin.filter_bar import row_number
from app.admin.lookups import project_names
from app.admin.trace_facts import SpanFacts, notices_of, services_of
from app.admin.trace_logs import logs_of
from app.admin.trace_rows import lines_of, ticks_of
from app.events.profiles import has_profile
from app.protocol.lenient import read_hex
from app.signals.logs.of_trace import read_trace_or_lines
from app.traces.folding import fold
from app.traces.tree import make_tree
from app.web import access
from app.web.current import current_store
from app.web.errors import or_404

UNKNOWN = (
    "nothing is stored of a trace with this id; it may have been removed since, or it was not"
    " sampled"
)
UNKNOWN_SPAN = "the trace has no span with this id that is stored"
# How many errors the page lists; all are marked at their spans.
MAX_ERRORS = 20
# How many services the page lists, those with the most self time; all are in its figures.
MAX_SERVICES = 50


class _Place(NamedTuple):
    """The part of a trace that a page shows, as its address says it."""

    span_id: str | None
    alike: bool
    after: int


@bp.get("/traces/<trace_id>")
@access.views
def show_trace(trace_id: str) -> ResponseReturnValue:
    """Show a trace, or the part of it below a span.

    :raise 404: nothing is stored of it, or it has no such span.
    """
    place = _place()
    with current_store().read() as conn:
        trace = or_404(read_trace_or_lines(conn, trace_id), UNKNOWN)
        names = project_names(conn)
        logs = logs_of(conn, trace, place.span_id)
        tree = make_tree(trace.spans, trace.events)
        top = None if place.span_id is None else tree.find(place.span_id)
        # A line may name a span that was not sampled: the page shows its lines.
        if place.span_id is not None and not logs.lines:
            or_404(top, UNKNOWN_SPAN)
        with_profile = top is not None and has_profile(conn, top.envelope_id)
    folded = fold(tree, top, alike=place.alike, after=place.after)
    return render_template(
        "trace.html",
        trace=trace,
        tree=tree,
        names=names,
        folded=folded,
        began=datetime.fromtimestamp(folded.first, UTC),
        ticks=ticks_of(folded),
        lines=lines_of(folded, names, logs.by_span),
        logs=logs,
        services=services_of(tree, names),
        max_services=MAX_SERVICES,
        notices=notices_of(trace, tree),
        failures=sum(node.span.failed for node in tree.nodes),
        errors=trace.events[:MAX_ERRORS],
        top=top,
        span_id=place.span_id,
        span=SpanFacts(top, names) if top else None,
        alike=place.alike,
        has_profile=with_profile,
    )


def _place() -> _Place:
    return _Place(
        read_hex(request.args.get("span"), 16),
        request.args.get("alike") == "1",
        row_number("after") or 0,
    )
