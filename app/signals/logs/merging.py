"""Make one block of neighbours that lost most of their lines.

A block takes 8 KiB, however few lines it has. A project with few lines, whose neighbours in time
were removed, would have a block for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row, delete, select

from app.signals.logs.blocks import FIRST, MAX_LINES, key_is, rebuild
from app.signals.logs.line import Key
from app.signals.logs.tables import log_blocks
from app.store import Store

# So many blocks with so little together become one. A block that is full of long lines has more
# bytes, so that none is merged and divided again and again.
MIN_BLOCKS, MAX_BYTES = 4, 60_000


def merge_blocks(store: Store) -> int:
    """Merge blocks with few lines, each group in its own transaction, and return how many."""
    columns = log_blocks.c.lines, log_blocks.c.size_bytes
    with store.read() as conn:
        blocks = list[Row[Any]](conn.execute(select(*FIRST, *columns).order_by(*FIRST)))
    merged = 0
    for first, end, count in _groups(blocks):
        with store.write(durable=False) as conn:
            within = key_is(FIRST, ">", first), key_is(FIRST, "<", end)
            conn.execute(delete(log_blocks).where(*within))
            rebuild(conn, first)
        merged += count
    return merged


def _groups(blocks: Sequence[Row[Any]]) -> Iterator[tuple[Key, Key, int]]:
    """Yield groups of small blocks: the key of the first one, that of the next block, how many."""
    group: list[Row[Any]] = []
    for block in blocks:
        if not _are_small([*group, block]):
            if len(group) >= MIN_BLOCKS:
                yield _key(group[0]), _key(block), len(group)
            group = []
        group.append(block)
    # The last block is the one that lines are added to, so it belongs to no group.
    if len(group) > MIN_BLOCKS:
        yield _key(group[0]), _key(group[-1]), len(group) - 1


def _are_small(blocks: Sequence[Row[Any]]) -> bool:
    lines: int = sum(block.lines for block in blocks)
    size_bytes: int = sum(block.size_bytes for block in blocks)
    return lines <= MAX_LINES // 2 and size_bytes <= MAX_BYTES


def _key(block: Row[Any]) -> Key:
    return block.first_at, block.first_id
