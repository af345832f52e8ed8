"""Read stored envelopes once, after their commit, and write the rows of their signals.

    envelopes above the last one ── Signal.read, without a lock ── Signal.write, one transaction
                                                                   └─ how far the walk has come

The path of an event does nothing for it. If envelopes are removed between reading and writing,
their signals are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, false, func, literal, or_, select

from app.events.tables import envelopes
from app.protocol.envelope import parse_envelope
from app.protocol.packing import unpack
from app.signals.kind import Signal, Stored
from app.signals.state import note_unread, read_up_to, write_up_to
from app.store import Store, StoreError, utc_now

log = logging.getLogger("app.tracker")

# The bounds of one batch: envelopes, and bytes before compression. One envelope may be larger.
BATCH_SIZE = 50
BATCH_BYTES = 2 * 1024 * 1024

Go = Callable[[], bool]
Found = dict[Signal, list[tuple[int, Sequence[Any]]]]


class Batch(NamedTuple):
    """Envelopes with signals.

    :param before: how far the walk had come.
    :param up_to: how far it has come with this batch; envelopes without signals are passed over.
    """

    before: int
    up_to: int
    ids: list[int]


def catch_up(store: Store, signals: Sequence[Signal], goes_on: Go = lambda: True) -> int:
    """Write the signals of all envelopes that were not read yet.

    :param goes_on: called before each batch; it stops this function by returning ``False``.
    :return: how many envelopes with signals were read.
    :raise StoreError: the store does not answer.
    """
    count = 0
    while goes_on():
        with store.read() as conn:
            batch = _next_batch(conn, signals, BATCH_SIZE)
        if batch.up_to <= batch.before:
            break
        _write_leniently(store, signals, batch)
        count += len(batch.ids)
    return count


def _write_leniently(store: Store, signals: Sequence[Signal], batch: Batch) -> None:
    """Write a batch. One that fails is written in single envelopes; the one that fails is skipped.

    So one envelope that cannot be read keeps no other one from being shown.
    """
    try:
        _write(store, signals, batch)
    except StoreError:
        raise
    except Exception:
        if len(batch.ids) > 1:
            before = batch.before
            for number in batch.ids:
                _write_leniently(store, signals, Batch(before, number, [number]))
                before = number
            _write_leniently(store, signals, Batch(before, batch.up_to, []))
            return
        log.exception("signals of an envelope are not shown: %s", batch.ids)
        _write(store, signals, batch._replace(ids=[]), failed=batch.ids)


def _write(
    store: Store, signals: Sequence[Signal], batch: Batch, failed: Sequence[int] = ()
) -> None:
    with store.read() as conn:
        found = _read(conn, signals, batch.ids)
    with store.write(durable=False) as conn:
        if read_up_to(conn) != batch.before:
            return  # Envelopes were removed since, so that the walk stepped back.
        there = set(conn.scalars(select(envelopes.c.id).where(envelopes.c.id.in_(batch.ids))))
        now = utc_now()
        for signal, of_envelopes in found.items():
            rows = list(chain.from_iterable(rows for id, rows in of_envelopes if id in there))
            if rows:
                signal.write(conn, rows, now)
        note_unread(conn, failed)
        note_unread(conn, sorted(_in_part(found)), is_partly_read=True)
        write_up_to(conn, batch.up_to)


def _in_part(found: Found) -> set[int]:
    """Return the envelopes of which a signal has not read all."""
    return {
        id
        for signal, of_envelopes in found.items()
        for id, rows in of_envelopes
        if not signal.is_complete(rows)
    }


def _next_batch(conn: Connection, signals: Sequence[Signal], limit: int) -> Batch:
    before = read_up_to(conn)
    columns = envelopes.c
    query = (
        select(columns.id, columns.size_bytes)
        .where(columns.id > before, _has_item(*chain(*(one.item_types for one in signals))))
        .order_by(columns.id)
        .limit(limit)
    )
    newest = conn.scalar(select(func.max(columns.id))) or 0
    rows = conn.execute(query).all()
    ids: list[int] = []
    size = 0
    for row in rows:
        size += row.size_bytes
        if ids and size > BATCH_BYTES:
            break
        ids.append(row.id)
    is_all = len(ids) == len(rows) < limit
    return Batch(before, newest if is_all else ids[-1], ids)


def _has_item(*types: str) -> Any:
    listed = literal(",").concat(envelopes.c.item_types).concat(",")
    like = (listed.like(f"%,{kind.replace('_', '!_')},%", escape="!") for kind in types)
    return or_(false(), *like)


def _read(conn: Connection, signals: Sequence[Signal], ids: Sequence[int]) -> Found:
    found: Found = {}
    for stored in _stored(conn, ids):
        types = set(stored.envelope.item_types)
        for signal in signals:
            if signal.item_types & types:
                found.setdefault(signal, []).append((stored.id, signal.read(stored)))
    return found


def _stored(conn: Connection, ids: Sequence[int]) -> Iterator[Stored]:
    columns = envelopes.c
    named = columns.id, columns.project_id, columns.event_id, columns.received_at, columns.body
    for row in conn.execute(select(*named).where(columns.id.in_(ids)).order_by(columns.id)):
        yield Stored(*row[:4], parse_envelope(unpack(row.body)))
