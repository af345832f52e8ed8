"""What a stored envelope has in it, item by item."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection, select

from app.events.tables import envelopes
from app.protocol.contents import Content, read_contents
from app.protocol.packing import unpack

# The ingest routes accept as many items; envelopes of this application may have more.
MAX_ITEMS = 100


class Contents(NamedTuple):
    """The items of an envelope, in its order.

    :param more: how many there are beyond :data:`MAX_ITEMS`.
    :param is_damaged: whether its bytes could not be read to the end.
    """

    items: list[Content]
    more: int
    is_damaged: bool


def contents_of(conn: Connection, envelope_id: int) -> Contents:
    """Return what is in a stored envelope; nothing if there is no such envelope."""
    body = conn.scalar(select(envelopes.c.body).where(envelopes.c.id == envelope_id))
    found: list[Content] = []
    more = 0
    try:
        reading = read_contents(unpack(body)) if body else iter(())
        found.extend(islice(reading, MAX_ITEMS))
        more = sum(1 for _ in reading)
    except ValueError:
        return Contents(found, more, is_damaged=True)
    return Contents(found, more, is_damaged=False)
