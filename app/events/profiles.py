"""The profile in a stored envelope."""

from __future__ import annotations

from itertools import islice

from sqlalchemy import Connection, select

from app.events.tables import envelopes
from app.protocol.envelope import PROFILE_ITEMS, load_json, read_items
from app.protocol.packing import unpack
from app.protocol.profile import Profile, read_profile

# Larger profiles are not read: this much JSON takes a quarter of a second and 100 MB.
MAX_BYTES = 10 * 1024**2


def profile_of(
    conn: Connection, envelope_id: int, item: int | None = None, thread_id: str | None = None
) -> Profile | None:
    """Return a profile that is in an envelope, ``None`` if there is none that can be read.

    :param item: the position of the item, from 0 on; the first profile if it is not given.
    :param thread_id: the thread, see :func:`~app.protocol.profile.read_profile`.
    """
    if not 0 < envelope_id < 2**63:
        return None
    body = conn.scalar(select(envelopes.c.body).where(envelopes.c.id == envelope_id))
    try:
        payload = _payload(unpack(body), item) if body else None
        return None if payload is None else read_profile(load_json(payload), thread_id)
    except (ValueError, RecursionError):
        return None


def has_profile(conn: Connection, envelope_id: int) -> bool:
    """Return whether a profile is in an envelope."""
    types = conn.scalar(select(envelopes.c.item_types).where(envelopes.c.id == envelope_id))
    return not PROFILE_ITEMS.isdisjoint((types or "").split(","))


def _payload(body: bytes, item: int | None) -> bytes | None:
    for headers, payload in islice(read_items(body), item or 0, None):
        if str(headers.get("type")) in PROFILE_ITEMS:
            return payload if len(payload) <= MAX_BYTES else None
        if item is not None:
            break
    return None
