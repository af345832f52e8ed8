"""Traces: what belongs to one trace in all projects, and the list of transactions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from app.api.requests import Paged
from app.api.routes import Routes
from app.api.schemas import ApiModel, Next
from app.inputs.filters import ProjectId
from app.inputs.period import RangeFilter
from app.protocol.event import Level, clean_text
from app.protocol.span import Span
from app.protocol.transaction import MAX_NAME
from app.signals.logs.of_trace import read_trace_or_lines
from app.store import utc_now
from app.traces.listing import Chosen, Sort, list_transactions
from app.traces.reading import Trace as Found
from app.traces.reading import TraceSpan
from app.web import access
from app.web.current import current_store
from app.web.errors import or_404
from app.web.token_projects import allowed_projects

UNKNOWN = "nothing is stored of a trace with this id"

route = Routes("traces")


class Transaction(ApiModel):
    """A transaction, or a segment of streamed spans."""

    event_id: str | None = Field(description="Null for a segment of streamed spans.")
    trace_id: str | None
    span_id: str | None
    project_id: int
    name: str
    op: str
    duration_ms: float | None = Field(description="Null if it is unknown or not plausible.")
    status: str | None
    timestamp: datetime | None = Field(description="When it ended.")


class ListedTransaction(Transaction):
    """A transaction in a list."""

    release: str = Field(description="Empty if the client sends none.")
    environment: str = Field(description="Empty if the client sends none.")


class TransactionPage(ApiModel):
    """A page of transactions."""

    transactions: list[ListedTransaction]
    next: Next
    searched_back_to: datetime | None = Field(
        description="Where the search for the slowest stopped, which reads the newest 20,000 where"
        " no name of a project is given; null if it did not."
    )


class TransactionOfTrace(Transaction):
    """A transaction of a trace."""

    parent_span_id: str | None


class SpanOfTrace(ApiModel):
    """A span of a trace; the span of a transaction that is no segment is in `transactions`."""

    span_id: str | None
    parent_span_id: str | None
    op: str
    description: str
    start_timestamp: datetime | None
    timestamp: datetime | None = Field(description="When it ended.")
    duration_ms: float | None = Field(description="Null if it is unknown or not plausible.")
    status: str | None
    project_id: int
    transaction: str = Field(description="The name of its transaction or segment.")


class EventOfTrace(ApiModel):
    """An event of a trace."""

    event_id: str
    issue_id: int
    project_id: int
    level: Level
    title: str
    timestamp: datetime
    span_id: str | None = Field(
        description="The span in which it happened; null if the event does not say it, or if its"
        " envelope is beyond the 64 MB, or it beyond the 8 MB, that are read for the events of a"
        " trace."
    )


class Trace(ApiModel):
    """What is stored of a trace, in all projects."""

    trace_id: str
    transactions: list[TransactionOfTrace]
    spans: list[SpanOfTrace]
    events: list[EventOfTrace] = Field(description="The newest 100, newest first.")
    has_more_spans: bool = Field(
        description="Whether there are more than 20,000 spans or 16 MB of them, or more than 1000"
        " envelopes or 64 MB of these."
    )
    has_more_events: bool


class TransactionQuery(Paged, RangeFilter):
    """The transactions to list."""

    name: Annotated[
        str | None,
        Field(description="Exactly as it is; of a longer one, the first 200 characters."),
    ] = None
    sort: Annotated[
        Sort, Field(description="What comes first; of those that failed, the newest.")
    ] = "newest"
    project_id: ProjectId | None = None


@route("GET /api/transactions", access.reads)
def get_transactions(query: TransactionQuery) -> TransactionPage:
    """List transactions: the slowest, the newest that failed, or the newest.

    :raise 422: the transaction of the cursor was removed since.
    """
    range = query.range_of(utc_now())
    name = None if query.name is None else clean_text(query.name)[:MAX_NAME]
    chosen = Chosen(query.project_id, name, start=range.start, end=range.end)
    with current_store().read() as conn:
        found = list_transactions(conn, chosen, query.sort, after=query.cursor, limit=query.limit)
    return TransactionPage(
        transactions=[ListedTransaction.of(row, duration_ms=_ms(row.ms)) for row in found.rows],
        next=None if found.next is None else str(found.next),
        searched_back_to=found.searched_back_to,
    )


@route("GET /api/traces/<trace_id>", access.reads)
def get_trace(trace_id: str) -> Trace:
    """Return the transactions, spans and events of a trace, in all projects of the token.

    All lists are empty if only lines of logs have the trace: `GET /api/logs?trace=` returns them.

    :raise 404: nothing is stored of a trace with this id.
    """
    with current_store().read() as conn:
        found = or_404(read_trace_or_lines(conn, trace_id, allowed_projects()), UNKNOWN)
    return Trace.of(
        found,
        transactions=[_transaction(found, one) for one in found.spans if one.span.is_transaction],
        spans=list(_spans(found)),
        events=[EventOfTrace.of(event) for event in found.events],
    )


def _transaction(trace: Found, one: TraceSpan) -> TransactionOfTrace:
    span = one.span
    return TransactionOfTrace.of(
        span,
        trace_id=trace.trace_id,
        parent_span_id=span.parent_id,
        project_id=one.project_id,
        name=clean_text(span.transaction),
        duration_ms=span.ms,
        timestamp=_moment(span.end),
        **_texts(span, "op", "status"),
    )


def _spans(trace: Found) -> Iterator[SpanOfTrace]:
    for project_id, _, span in trace.spans:
        if span.is_streamed or not span.is_transaction:
            yield SpanOfTrace(
                span_id=span.span_id,
                parent_span_id=span.parent_id,
                start_timestamp=_moment(span.start),
                timestamp=_moment(span.end),
                duration_ms=span.ms,
                project_id=project_id,
                **_texts(span, "op", "description", "status", "transaction"),
            )


def _texts(span: Span, *names: str) -> dict[str, Any]:
    return {name: text and clean_text(text) for name in names for text in [getattr(span, name)]}


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
