"""Read stored events and return their documents."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, case, select

from app.events.queries import read_stored
from app.events.tables import envelopes, events
from app.search.document import FACTS, Document, document_of

log = logging.getLogger("app.tracker")

# A larger body, which may have attachments, is read by a query of its own, so that large bodies are
# not in memory at the same time.
LARGE_BYTES = 256 * 1024


class Read(NamedTuple):
    """An event that was read.

    :param at: when it happened.
    """

    id: int
    issue_id: int
    at: datetime
    document: Document


def read_documents(
    conn: Connection, *conditions: Any, limit: int, newest: bool = False
) -> list[Read]:
    """Return the documents of the first events that meet the conditions, by row id.

    :param newest: return those of the last events.
    """
    is_large = envelopes.c.size_bytes > LARGE_BYTES
    query = select(
        events.c.id,
        events.c.event_id,
        events.c.project_id,
        events.c.issue_id,
        events.c.grouping_id,
        events.c.title,
        *(events.c[name] for name in FACTS),
        events.c.timestamp,
        events.c.received_at,
        envelopes.c.id.label("envelope_id"),
        case((is_large, None), else_=envelopes.c.body).label("body"),
    ).join(envelopes, envelopes.c.id == events.c.envelope_id)
    order = events.c.id.desc() if newest else events.c.id
    return list(
        _read(conn, conn.execute(query.where(*conditions).order_by(order).limit(limit)).all())
    )


def _read(conn: Connection, rows: Any) -> Iterator[Read]:
    for row in rows:
        yield Read(row.id, row.issue_id, row.timestamp, _document(conn, row))


def _document(conn: Connection, row: Row[Any]) -> Document:
    body = row.body or conn.scalar(
        select(envelopes.c.body).where(envelopes.c.id == row.envelope_id)
    )
    try:
        event = read_stored(body or b"", row.event_id, row.received_at)[0]
    except ValueError as error:
        # The event is shown in lists, so its index must not stop at it.
        log.warning("event %s is found by no search: %s", row.event_id, error)
        return Document((), ())
    return document_of(
        event,
        project_id=row.project_id,
        title=row.title,
        grouping_id=row.grouping_id,
        facts={name: getattr(row, name) for name in FACTS},
    )
