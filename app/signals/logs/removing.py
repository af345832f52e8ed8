"""Remove lines, and keep the counts of their blocks right.

Bits cannot be taken out of a Bloom filter. A block that lost lines is read in vain now and then; it
goes with its last line, and neighbours with few lines become one (`merging.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from app.signals.logs.blocks import FIRST, KEY, key_is
from app.signals.logs.merging import merge_blocks
from app.signals.logs.tables import log_blocks, log_lines
from app.store import Store

# Lines that one transaction removes.
BATCH_SIZE = 500


class Removed(NamedTuple):
    """How much was removed."""

    lines: int = 0
    size_bytes: int = 0


def remove_lines(store: Store, *is_old: Any, at_most_bytes: int | None = None) -> Removed:
    """Remove lines in batches, oldest first, and return how much.

    :param is_old: conditions on the lines.
    :param at_most_bytes: stop when so many bytes are removed, or slightly more.
    """
    count = gone_bytes = 0
    while at_most_bytes is None or gone_bytes < at_most_bytes:
        with store.write(durable=False) as conn:
            left = None if at_most_bytes is None else at_most_bytes - gone_bytes
            rows = _oldest(conn, is_old, left)
            _remove(conn, rows)
        count += len(rows)
        gone_bytes += sum(row.size_bytes for row in rows)
        if len(rows) < BATCH_SIZE and left is None or not rows:
            break
    if count:
        merge_blocks(store)
    return Removed(count, gone_bytes)


def _oldest(conn: Connection, is_old: Sequence[Any], at_most_bytes: int | None) -> Sequence[Any]:
    query = select(*KEY, log_lines.c.size_bytes).where(*is_old).order_by(*KEY).limit(BATCH_SIZE)
    rows = conn.execute(query).all()
    size = 0
    for number, row in enumerate(rows):
        if at_most_bytes is not None and size >= at_most_bytes:
            return rows[:number]
        size += row.size_bytes
    return rows


def _remove(conn: Connection, rows: Sequence[Row[Any]]) -> None:
    """Remove lines, which are in the order of their keys."""
    if not rows:
        return
    conn.execute(delete(log_lines).where(log_lines.c.id.in_([row.id for row in rows])))
    fewer: dict[int, list[int]] = {}
    blocks = _blocks_of(conn, rows)
    number = 0
    for row in rows:
        while number + 1 < len(blocks) and _first(blocks[number + 1]) <= (row.at, row.id):
            number += 1
        of_block = fewer.setdefault(blocks[number].id, [0, 0])
        of_block[0] += 1
        of_block[1] += row.size_bytes
    conn.execute(_FEWER, [{"of": of, "n": n, "size": size} for of, (n, size) in fewer.items()])
    conn.execute(delete(log_blocks).where(log_blocks.c.id.in_(fewer), log_blocks.c.lines <= 0))


def _blocks_of(conn: Connection, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Return the blocks from that of the first row to that of the last one, in order."""
    lowest, highest = ((row.at, row.id) for row in (rows[0], rows[-1]))
    start = select(*FIRST).where(key_is(FIRST, "<=", lowest))
    start = start.order_by(*(column.desc() for column in FIRST)).limit(1)
    first = conn.execute(start).first() or lowest
    within = key_is(FIRST, ">=", (first[0], first[1])), key_is(FIRST, "<=", highest)
    return list(conn.execute(select(log_blocks.c.id, *FIRST).where(*within).order_by(*FIRST)))


def _first(block: Row[Any]) -> tuple[Any, int]:
    return block.first_at, block.first_id


_FEWER = (
    update(log_blocks)
    .where(log_blocks.c.id == bindparam("of"))
    .values(
        lines=log_blocks.c.lines - bindparam("n"),
        size_bytes=log_blocks.c.size_bytes - bindparam("size"),
    )
)
