"""Find lines, newest first, within a budget.

    blocks, newest first ── may one of its lines match? ── its lines, by the conditions of columns
                                                        ── texts ── tokens ── the line

Reading a block's bits costs BLOCK_COST, reading one of its lines LINE_COST, looking through its
texts TEXT_COST, and comparing the words of a line by its length. A search that has spent its budget
on blocks or on words stops and says where: everything newer was looked at, and the next page goes
on from there. So a word that few lines have is found among a million of them, and one that is in
every block, but never with another one, stops early.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from app.signals.logs.blocks import FIRST, KEY, key_is
from app.signals.logs.conditions import Conditions
from app.signals.logs.line import Key, Line
from app.signals.logs.matching import Wanted, fits, is_fitting, is_match, may_match, wanted
from app.signals.logs.rows import line_of
from app.signals.logs.scanning import Part, lines_with, texts_of
from app.signals.logs.tables import log_blocks, log_lines

# Together at most 100 ms of CPU.
BUDGET = 40_000
BLOCK_COST = 5
# Reading a line of a block. On PostgreSQL two processes work on it.
LINE_COST, LINE_COST_OF_POSTGRES = 1, 2
# Looking through the texts of a line that the database did not leave out, beside reading it.
TEXT_COST = 3
# Reading a candidate and its words costs this, and one more for each BYTES of its row. A line of
# 24 kB takes some 10 ms.
CANDIDATE_COST, BYTES = 20, 8
CANDIDATES_AT_ONCE = 20
# Of the rows of a page that no search reads. The budget of a search allows less.
MAX_BYTES = 4_000_000
# Blocks that one statement reads; the first one reads few, as most searches end soon.
FIRST_BLOCKS, MORE_BLOCKS = 8, 250


@dataclass(frozen=True)
class Lines:
    """A page of lines, newest first.

    :param next: the key to continue before; ``None`` at the end.
    :param searched_back_to: the time down to which a search looked, if it spent its budget.
    """

    lines: list[Line]
    next: Key | None = None
    searched_back_to: datetime | None = None


class Bounds(NamedTuple):
    """Which lines are looked at: those before a key, from a time on, with values of columns.

    :param given: by the name of the column.
    """

    before: Key | None
    since: datetime | None
    given: dict[str, Any]


class _Candidate(NamedTuple):
    """A block that may have lines, or not.

    :param end: the first key of the next block; ``None`` without one.
    """

    first: Key
    end: Key | None
    lines: int
    fits: bool


def list_lines(conn: Connection, bounds: Bounds, limit: int, key: Sequence[Any] = KEY) -> Lines:
    """Return the newest lines within bounds that an index answers.

    Fewer than the limit are a page if they take MAX_BYTES; one line always is.

    :param key: the columns of the index that say the order.
    """
    query = select(log_lines).where(*_within(bounds)).limit(limit + 1)
    lines, size = list[Line](), 0
    for row in conn.execute(query.order_by(*(column.desc() for column in key))):
        lines.append(line_of(row))
        size += row.size_bytes
        if size > MAX_BYTES and len(lines) > 1:
            return _page(lines, min(limit, len(lines) - 1))
    return _page(lines, limit)


def search_lines(conn: Connection, conditions: Conditions, bounds: Bounds, limit: int) -> Lines:
    """Return the newest lines within bounds that fulfil all conditions."""
    of, spent = wanted(conditions), 0
    line_cost = LINE_COST if conn.dialect.name == "sqlite" else LINE_COST_OF_POSTGRES
    results = _Results(conn, of, limit + 1)
    for block in _candidates(conn, of, bounds):
        spent += BLOCK_COST
        if block.fits:
            spent += line_cost * block.lines
            part = Part(block.first, block.end, bounds.since, bounds.given)
            texts = texts_of(conn, part, of.needles)
            spent += TEXT_COST * len(texts)
            results.add(id for id, text in texts if may_match(of, text))
        if results.are_enough or results.stopped_at:
            break
        is_at_end = bounds.since is not None and block.first[0] < bounds.since
        if spent >= BUDGET and not is_at_end:
            found = results.all()
            return _stopped(conn, found, results.stopped_at or block.first, limit)
    found = results.all()
    if results.stopped_at:
        return _stopped(conn, found, results.stopped_at, limit)
    return _page(found, limit)


class _Results:
    """The lines that a search found, newest first.

    Candidates of several blocks are read together, since few blocks have more than one.

    :ivar stopped_at: the last line that was read, if reading candidates took the whole budget.
    """

    def __init__(self, conn: Connection, of: Wanted, wanted: int) -> None:
        self.lines: list[Line] = []
        self._conn, self._of, self._wanted = conn, of, wanted
        self._waiting: list[int] = []
        self._spent = 0
        self.stopped_at: Key | None = None

    def add(self, ids: Iterable[int]) -> None:
        """Add candidates, which are older than those before."""
        self._waiting += ids

    @property
    def are_enough(self) -> bool:
        """Whether there are enough lines. Candidates are read when they may be enough."""
        while len(self.lines) < self._wanted <= len(self.lines) + len(self._waiting):
            self._read(self._wanted - len(self.lines))
        return len(self.lines) >= self._wanted

    def all(self) -> list[Line]:
        """Return the lines, after the last candidates were read."""
        while self._waiting and len(self.lines) < self._wanted:
            self._read(self._wanted)
        return self.lines

    def _read(self, count: int) -> None:
        count = min(count, CANDIDATES_AT_ONCE)
        some, self._waiting = self._waiting[:count], self._waiting[count:]
        for line in lines_with(self._conn, some):
            # A long line costs more than a whole block of short ones.
            self._spent += CANDIDATE_COST + line.size_bytes // BYTES
            if is_match(self._of, line):
                self.lines.append(line)
            if self._spent >= BUDGET:
                self._waiting, self.stopped_at = [], line.key
                return


def _stopped(conn: Connection, found: list[Line], at: Key, limit: int) -> Lines:
    older = select(log_blocks.c.id).where(key_is(FIRST, "<", at)).limit(1)
    is_end = conn.execute(older).first() is None
    return _page(found, limit) if is_end or len(found) > limit else Lines(found, at, at[0])


def _candidates(conn: Connection, of: Wanted, bounds: Bounds) -> Iterator[_Candidate]:
    """Yield the blocks within bounds, newest first."""
    end, at_once = bounds.before, FIRST_BLOCKS
    query = select(*FIRST, log_blocks.c.lines, fits(conn, of))
    query = query.order_by(*(column.desc() for column in FIRST))
    while True:
        page = query if end is None else query.where(key_is(FIRST, "<", end))
        rows = conn.execute(page.limit(at_once)).all()
        for row in rows:
            first = row.first_at, row.first_id
            yield _Candidate(first, end, row.lines, is_fitting(of, row.fits))
            end = first
            if bounds.since is not None and first[0] < bounds.since:
                return
        if len(rows) < at_once:
            return
        at_once = MORE_BLOCKS


def _within(bounds: Bounds) -> list[Any]:
    conditions = [log_lines.c[name] == value for name, value in bounds.given.items()]
    if bounds.before is not None:
        conditions.append(key_is(KEY, "<", bounds.before))
    if bounds.since is not None:
        conditions.append(log_lines.c.at >= bounds.since)
    return conditions


def _page(lines: list[Line], limit: int) -> Lines:
    return Lines(lines[:limit], lines[limit - 1].key if len(lines) > limit else None)
