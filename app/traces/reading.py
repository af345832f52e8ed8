"""The spans and the events of a trace, read from the stored envelopes when it is opened.

trace_envelopes ── bodies, oldest first, within bounds ── spans
index of events ── events with the id of the trace ── the span in which each happened
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from app.events.tables import envelopes, events
from app.inputs.period import period_range
from app.projects.tables import projects
from app.protocol.envelope import Envelope, EnvelopeTooLarge, parse_only
from app.protocol.lenient import parse_event_id, read_dict, read_hex
from app.protocol.packing import unpack
from app.protocol.span import SPAN_ITEMS, Span, read_spans
from app.search.events import search_events
from app.store import utc_now
from app.traces.tables import trace_envelopes

# What is read of one trace: spans, envelopes, events.
MAX_SPANS = 20_000
MAX_ENVELOPES = 1000
MAX_EVENTS = 100
# Bytes before compression of the envelopes with spans, and as many of those with events. Files and
# profiles are passed over by their lengths. No envelope has more than 40 MB.
MAX_BYTES = 64 * 1024**2
# Bytes of the items that are read: those with spans, and events. A second for 8 MB of JSON.
MAX_SPAN_BYTES = 16 * 1024**2
MAX_EVENT_BYTES = 8 * 1024**2

# The projects to read; ``None`` for all.
Projects = frozenset[int] | None


class TraceSpan(NamedTuple):
    """A span, and where it is from."""

    project_id: int
    envelope_id: int
    span: Span


class TraceEvent(NamedTuple):
    """An event of a trace.

    :param span_id: the span in which it happened, ``None`` if the event does not say it, or if its
        envelope, or itself, was too large to be read.
    """

    event_id: str
    issue_id: int
    project_id: int
    level: str
    title: str
    timestamp: datetime
    span_id: str | None


@dataclass
class Trace:
    """What is stored of a trace.

    :param spans: each once, in the order in which their envelopes came. Two spans of a project are
        the same if they have the same id, words and beginning.
    :param events: the newest ones, newest first.
    :param has_more_spans: whether only a part of it is read, as it is larger than the bounds.
    :param unread_events: how many events have no span here as their envelopes were too large to be
        read.
    :param repeated: how many spans came again and are left out.
    """

    trace_id: str
    spans: list[TraceSpan] = field(default_factory=list)
    events: list[TraceEvent] = field(default_factory=list)
    has_more_spans: bool = False
    has_more_events: bool = False
    unread_events: int = 0
    repeated: int = 0


def read_trace(conn: Connection, trace_id: str, allowed: Projects = None) -> Trace | None:
    """Return a trace, ``None`` if nothing is stored of it.

    :param trace_id: 32 hex digits, in any case, with or without dashes.
    :param allowed: only spans and events of these projects.
    """
    parsed = parse_event_id(trace_id)
    if parsed is None:
        return None
    trace = Trace(parsed)
    _add_spans(conn, trace, allowed)
    _add_events(conn, trace, allowed)
    return trace if trace.spans or trace.events else None


def has_spans(conn: Connection, trace_id: str) -> bool:
    """Return whether any span of a trace is stored.

    :param trace_id: 32 lower-case hex digits.
    """
    stored = select(trace_envelopes.c.envelope_id).where(trace_envelopes.c.trace_id == trace_id)
    return conn.execute(stored.limit(1)).first() is not None


def _add_spans(conn: Connection, trace: Trace, allowed: Projects) -> None:
    seen: set[tuple[object, ...]] = set()
    for project_id, envelope_id, envelope in _envelopes(conn, trace, allowed):
        for span in read_spans(envelope, trace.trace_id):
            if len(trace.spans) == MAX_SPANS:
                trace.has_more_spans = True
                return
            if span.span_id is not None:
                # A client may give two spans one id; the same one has the same words and beginning.
                key = project_id, span.span_id, span.op, span.description, span.start
                if key in seen:
                    trace.repeated += 1
                    continue
                seen.add(key)
            trace.spans.append(TraceSpan(project_id, envelope_id, span))


def _envelopes(
    conn: Connection, trace: Trace, allowed: Projects
) -> Iterator[tuple[int, int, Envelope]]:
    """Yield project, row id and content of the envelopes to read."""
    chosen = _within_bounds(trace, conn.execute(_listed(trace.trace_id, allowed)).all())
    columns, left = envelopes.c, MAX_SPAN_BYTES
    query = select(columns.project_id, columns.id, columns.body).order_by(columns.id)
    for project_id, envelope_id, body in conn.execute(query.where(columns.id.in_(chosen))):
        try:
            envelope, size = parse_only(unpack(body), SPAN_ITEMS, left)
        except EnvelopeTooLarge:
            trace.has_more_spans = True
        except ValueError:
            pass  # A damaged envelope hides no other one.
        else:
            left -= size
            yield project_id, envelope_id, envelope


def _listed(trace_id: str, allowed: Projects) -> Any:
    columns = envelopes.c
    query = (
        select(columns.id, columns.size_bytes)
        .join(trace_envelopes, trace_envelopes.c.envelope_id == columns.id)
        .join(projects, projects.c.id == columns.project_id)
        .where(trace_envelopes.c.trace_id == trace_id, projects.c.deleted_at.is_(None))
        .order_by(trace_envelopes.c.envelope_id)
        .limit(MAX_ENVELOPES + 1)
    )
    return query if allowed is None else query.where(columns.project_id.in_(allowed))


def _within_bounds(trace: Trace, rows: Sequence[Any]) -> list[int]:
    ids: list[int] = []
    size = 0
    for row in rows[:MAX_ENVELOPES]:
        size += row.size_bytes
        if ids and size > MAX_BYTES:
            break
        ids.append(row.id)
    trace.has_more_spans = len(ids) < len(rows)
    return ids


def _add_events(conn: Connection, trace: Trace, allowed: Projects) -> None:
    """Add the newest events of the projects that may be read."""
    everything, exactly = period_range("all", utc_now()), {"trace": trace.trace_id}
    found = search_events(conn, (), everything, limit=MAX_EVENTS, allowed=allowed, exactly=exactly)
    trace.has_more_events = found.next is not None
    of = events.c
    columns = of.event_id, of.issue_id, of.project_id, of.level, of.title, of.timestamp
    query = (
        select(*columns, envelopes.c.id.label("envelope_id"), envelopes.c.size_bytes)
        .join(envelopes, envelopes.c.id == of.envelope_id)
        .join(projects, projects.c.id == of.project_id)
        .where(of.id.in_(found.ids), projects.c.deleted_at.is_(None))
        .order_by(of.id.desc())
    )
    if allowed is not None:
        query = query.where(of.project_id.in_(allowed))
    rows = conn.execute(query).all()
    span_ids = _span_ids(conn, _small_enough(rows))
    trace.unread_events = sum(row.envelope_id not in span_ids for row in rows)
    trace.events += [TraceEvent(*row[:6], span_ids.get(row.envelope_id)) for row in rows]


def _small_enough(rows: Sequence[Any]) -> list[int]:
    """Return the envelopes to read, of the newest events first; one too large is passed over."""
    ids: list[int] = []
    left = MAX_BYTES
    for row in rows:
        if row.size_bytes <= left:
            left -= row.size_bytes
            ids.append(row.envelope_id)
    return ids


def _span_ids(conn: Connection, ids: Sequence[int]) -> dict[int, str | None]:
    """Return the span of the event of each envelope, without events that are too large."""
    found, left = dict[int, str | None](), MAX_EVENT_BYTES
    query = select(envelopes.c.id, envelopes.c.body).where(envelopes.c.id.in_(ids))
    for envelope_id, body in conn.execute(query.order_by(envelopes.c.id.desc())):
        try:
            envelope, size = parse_only(unpack(body), ("event",), left)
        except EnvelopeTooLarge:
            continue
        except ValueError:
            found[envelope_id] = None  # A damaged envelope hides no other one.
        else:
            left -= size
            found[envelope_id] = _span_of(envelope)
    return found


def _span_of(envelope: Envelope) -> str | None:
    item = envelope.event()
    contexts = read_dict(item.payload.get("contexts")) if item else {}
    return read_hex(read_dict(contexts.get("trace")).get("span_id"), 16)
