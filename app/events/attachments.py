"""Attachments of an event: from its own envelope and from earlier or later envelopes.

An attachment that was accepted on ingest is kept whole. Its size is limited only through its
envelope: the ingest routes refuse an envelope of more than 40 MiB as a whole (413). They never drop
a part of an attachment.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import accumulate, islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, select

from app.events.tables import envelopes
from app.protocol.envelope import parse_envelope
from app.protocol.packing import unpack

# The most other envelopes of an event that are read.
MAX_ENVELOPES = 20
# The most bytes of these envelopes, inflated: a page waits while they are read.
MAX_BYTES = 64 * 1024**2


class Attachment(NamedTuple):
    """A file that came with an event.

    :param filename: the name that the client sent, of any JSON type; ``None`` without a name.
    :param payload: the bytes as the client sent them.
    """

    filename: object
    content_type: object
    payload: bytes

    def described(self) -> dict[str, Any]:
        """Return the fields that lists show: file name, content type, and size in bytes."""
        of_file = {"filename": self.filename, "content_type": self.content_type}
        return {**of_file, "size": len(self.payload)}


def attachments_of(conn: Connection, row: Row[Any]) -> Iterator[Attachment]:
    """Yield the attachments of an event: those of its own envelope, then of others, oldest first.

    :param row: the row of the event, with the ``body`` of its envelope.
    """
    return _read(conn, row, _others(conn, row)[0])


def all_attachments(conn: Connection, row: Row[Any]) -> tuple[Iterator[Attachment], int]:
    """Return :func:`attachments_of`, and how many stored envelopes with more are not read."""
    ids, unlisted = _others(conn, row)
    return _read(conn, row, ids), unlisted


def _read(conn: Connection, row: Row[Any], ids: list[int]) -> Iterator[Attachment]:
    # Most events have none: their envelopes are not read a second time.
    yield from attachments_in(row.body) if "attachment" in row.item_types else ()
    for id in ids:
        body = conn.scalar(select(envelopes.c.body).where(envelopes.c.id == id))
        yield from attachments_in(body) if body else ()


def _others(conn: Connection, row: Row[Any]) -> tuple[list[int], int]:
    """Return the ids of the other envelopes to read, and the number of those that are not read."""
    names = ("event_id", "project_id", "envelope_id")
    found = conn.execute(_with_files(), {name: getattr(row, name) for name in names}).all()
    sizes = accumulate(size_bytes for _, size_bytes in found)
    within = [id for (id, _), size in zip(found, sizes, strict=True) if size <= MAX_BYTES]
    return within[:MAX_ENVELOPES], len(found) - len(within[:MAX_ENVELOPES])


@cache
def _with_files() -> Select[Any]:
    table = envelopes.c
    query = select(table.id, table.size_bytes).where(
        table.event_id == bindparam("event_id"),
        table.project_id == bindparam("project_id"),
        table.id != bindparam("envelope_id"),
        table.item_types.contains("attachment"),
    )
    return query.order_by(table.id)


def find_attachment(conn: Connection, row: Row[Any], number: int) -> Attachment | None:
    """Return an attachment by its number, ``None`` when the event has fewer attachments.

    :param number: the position in :func:`attachments_of`, from 0. Attachments that arrive later
        are added at the end.
    """
    return next(islice(attachments_of(conn, row), number, None), None)


def attachments_in(body: bytes) -> list[Attachment]:
    """Return the attachments in a stored envelope, in the order of its items."""
    return [
        Attachment(item.headers.get("filename"), item.headers.get("content_type"), item.payload)
        for item in parse_envelope(unpack(body)).items
        if item.type == "attachment" and isinstance(item.payload, bytes)
    ]
