"""Attachments of an event: in its envelope, in one that came before it, in one that came later.

What the door takes is kept, however large: an attachment is bounded with its envelope, which the
door refuses as a whole (413) beyond 40 MiB, so that no part of one is ever dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from app.events.tables import envelopes
from app.protocol.envelope import parse_envelope
from app.protocol.packing import unpack

# Other envelopes of an event that are looked into.
MAX_ENVELOPES = 20
# Of them, inflated: a page waits while they are read.
MAX_BYTES = 64 * 1024**2


class Attachment(NamedTuple):
    """A file that came with an event; ``payload`` as the client sent it.

    :param filename: whatever the client gave for a name, or nothing.
    """

    filename: object
    content_type: object
    payload: bytes

    def described(self) -> dict[str, Any]:
        """Return what lists say of it; the size in bytes."""
        of_file = {"filename": self.filename, "content_type": self.content_type}
        return {**of_file, "size": len(self.payload)}


def attachments_of(conn: Connection, row: Row[Any]) -> Iterator[Attachment]:
    """Yield the attachments of an event: of its own envelope, then of others, the earliest first.

    :param row: of the event, with the ``body`` of its envelope.
    """
    yield from attachments_in(row.body)
    for id in _others(conn, row)[0]:
        body = conn.scalar(select(envelopes.c.body).where(envelopes.c.id == id))
        yield from attachments_in(body) if body else ()


def unlisted_envelopes(conn: Connection, row: Row[Any]) -> int:
    """Return how many envelopes with attachments of an event are kept and not looked into."""
    return _others(conn, row)[1]


def _others(conn: Connection, row: Row[Any]) -> tuple[list[int], int]:
    """Return the other envelopes that are looked into, and how many more there are."""
    table = envelopes.c
    query = select(table.id, table.size_bytes).where(
        table.event_id == row.event_id,
        table.project_id == row.project_id,
        table.id != row.envelope_id,
        table.item_types.contains("attachment"),
    )
    found = conn.execute(query.order_by(table.id)).all()
    sizes = accumulate(size_bytes for _, size_bytes in found)
    within = [id for (id, _), size in zip(found, sizes, strict=True) if size <= MAX_BYTES]
    return within[:MAX_ENVELOPES], len(found) - len(within[:MAX_ENVELOPES])


def find_attachment(conn: Connection, row: Row[Any], number: int) -> Attachment | None:
    """Return one of :func:`attachments_of`, ``None`` when there are not so many.

    :param number: its place, from 0; what comes later is added at the end.
    """
    return next(islice(attachments_of(conn, row), number, None), None)


def attachments_in(body: bytes) -> list[Attachment]:
    """Return the attachments in a stored envelope, in order."""
    return [
        Attachment(item.headers.get("filename"), item.headers.get("content_type"), item.payload)
        for item in parse_envelope(unpack(body)).items
        if item.type == "attachment" and isinstance(item.payload, bytes)
    ]
