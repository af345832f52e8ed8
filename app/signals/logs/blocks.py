"""Write the tokens of lines into their blocks.

    lines, in the order of time ── the block of each ── its bits, until it is full ── a new block

A line that arrives late belongs to an older block. A block with too many of them is divided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, literal, select, tuple_, update

from app.signals.logs import bits
from app.signals.logs.document import block_tokens
from app.signals.logs.line import Key, Line
from app.signals.logs.rows import line_of
from app.signals.logs.tables import log_blocks, log_lines

# A search reads all lines of a block that may have what it looks for.
MAX_LINES = 300
# A block that lines were added to later may have this many times as many.
DIVIDED_AT = 2
# How many lines are added before the bits are counted again.
STEP = 100

FIRST = log_blocks.c.first_at, log_blocks.c.first_id
KEY = log_lines.c.at, log_lines.c.id


@dataclass
class Block:
    """A block, with the tokens of its lines.

    :param id: ``None`` before it is written.
    """

    first: Key
    id: int | None = None
    lines: int = 0
    size_bytes: int = 0
    bits: bytearray = field(default_factory=bits.empty)

    @property
    def is_full(self) -> bool:
        """Whether the next line begins a new block."""
        return self.lines >= MAX_LINES or bits.count(self.bits) >= bits.FULL

    @property
    def is_overfull(self) -> bool:
        """Whether lines that were added later made it too large."""
        many = self.lines >= MAX_LINES * DIVIDED_AT
        return many or bits.count(self.bits) >= bits.FULL * DIVIDED_AT

    def add(self, lines: Sequence[Line]) -> None:
        """Add lines."""
        self.lines += len(lines)
        self.size_bytes += sum(line.size_bytes for line in lines)
        bits.add(self.bits, block_tokens(lines))


def key_is(columns: Any, operator: str, key: Key) -> Any:
    """Return the condition that a key compares to another one.

    :param operator: one of ``< <= > >=``.
    """
    at, id = (literal(part, column.type) for part, column in zip(key, columns, strict=True))
    # PostgreSQL takes any comparison of pairs for a third of all rows, and would read all of them.
    bound = columns[0].op(f"{operator[0]}=", is_comparison=True)(at)
    return and_(bound, tuple_(*columns).op(operator, is_comparison=True)(tuple_(at, id)))


def newest_key(conn: Connection) -> Key | None:
    """Return the key of the newest line that is stored."""
    query = select(*KEY).order_by(*(column.desc() for column in KEY)).limit(1)
    row = conn.execute(query).first()
    return None if row is None else (row[0], row[1])


def add_to_blocks(conn: Connection, lines: Sequence[Line], newest: Key | None) -> None:
    """Add lines that were stored to their blocks.

    :param lines: in the order of their keys.
    :param newest: the newest key before them. No new block begins before it.
    """
    last = _newest_block(conn) or Block(lines[0].key)
    rest = [line for line in lines if line.key < last.first]
    fresh = lines[len(rest) :]
    late = [line for line in fresh if newest is not None and line.key < newest]
    if fresh:
        if late:
            last.add(late)
        _write(conn, list(_filled(last, fresh[len(late) :])))
        if last.is_overfull:
            rebuild(conn, last.first)
    while rest:
        block = _block_of(conn, rest[-1].key) or _first_block(conn, rest[0].key)
        own = [line for line in rest if line.key >= block.first]
        rest = rest[: len(rest) - len(own)]
        block.add(own)
        _write(conn, [block])
        if block.is_overfull:
            rebuild(conn, block.first)


def rebuild(conn: Connection, key: Key) -> Key | None:
    """Make the block again that a key belongs to, from the lines that are stored.

    :return: the first key of the next block; ``None`` without one.
    """
    block = _block_of(conn, key)
    if block is None:
        return None
    end = conn.execute(
        select(*FIRST).where(key_is(FIRST, ">", block.first)).order_by(*FIRST).limit(1)
    ).first()
    query = select(log_lines).where(key_is(KEY, ">=", block.first)).order_by(*KEY)
    if end is not None:
        query = query.where(key_is(KEY, "<", (end[0], end[1])))
    lines = [line_of(row) for row in conn.execute(query)]
    conn.execute(delete(log_blocks).where(log_blocks.c.id == block.id))
    if lines:
        # Its first key stays, so that the blocks cover the same times as before.
        _write(conn, list(_filled(Block(block.first), lines)))
    return None if end is None else (end[0], end[1])


def _filled(block: Block, lines: Sequence[Line]) -> Iterator[Block]:
    """Yield a block with lines, and the new blocks for those that it has no room for."""
    at = 0
    while at < len(lines):
        if block.is_full:
            yield block
            block = Block(lines[at].key)
        block.add(lines[at : at + STEP])
        at += STEP
    yield block


def _block_of(conn: Connection, key: Key) -> Block | None:
    """Return the block that a key belongs to; ``None`` if it is before all blocks."""
    descending = (column.desc() for column in FIRST)
    query = select(log_blocks).where(key_is(FIRST, "<=", key)).order_by(*descending)
    row = conn.execute(query.limit(1)).first()
    return None if row is None else _read(row)


def _newest_block(conn: Connection) -> Block | None:
    descending = (column.desc() for column in FIRST)
    row = conn.execute(select(log_blocks).order_by(*descending).limit(1)).first()
    return None if row is None else _read(row)


def _first_block(conn: Connection, key: Key) -> Block:
    """Return the first block, which begins with this key from now on."""
    block = _read(conn.execute(select(log_blocks).order_by(*FIRST).limit(1)).one())
    block.first = key
    return block


def _read(row: Any) -> Block:
    first = row.first_at, row.first_id
    return Block(first, row.id, row.lines, row.size_bytes, bytearray(row.bits))


def _write(conn: Connection, blocks: Sequence[Block]) -> None:
    for block in blocks:
        values = {
            "first_at": block.first[0],
            "first_id": block.first[1],
            "lines": block.lines,
            "size_bytes": block.size_bytes,
            "bits": bytes(block.bits),
        }
        if block.id is None:
            conn.execute(insert(log_blocks), values)
        else:
            conn.execute(_UPDATE, values | {"of": block.id})


_UPDATE = (
    update(log_blocks)
    .where(log_blocks.c.id == bindparam("of"))
    .values(
        {name: bindparam(name) for name in ("first_at", "first_id", "lines", "size_bytes", "bits")}
    )
)
