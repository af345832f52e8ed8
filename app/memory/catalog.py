"""The catalog: the fields and words of a user's memories, held in each process for searching.

    filters    decide on the fields of every memory of the user
    keywords   are looked up in the sorted words of all memories of the user

Like the exact index, a process holds the users who searched last. Each search reads one row of SQL
to find out whether something changed, and then reads only changed rows. The catalog only finds
candidates: their rows are read from SQL again, and the filter decides on them again.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Text, bindparam, case, cast, func, select

from app.memory.filters import Conditions
from app.memory.keywords import QueryWords
from app.memory.tables import memories, memory_users
from app.store import Store

# Of a process, besides the user who searched last.
MAX_CACHE_BYTES = 64 * 1024**2
# Longer metadata, in characters of JSON, are not held but read with each search that needs them.
HELD_METADATA = 500
# The memory of an entry besides its metadata and words, and of a character of metadata; measured
# with tracemalloc.
ENTRY_BYTES, CHARACTER_BYTES, WORD_BYTES = 700, 8, 16
READ_BATCH_SIZE = 200
# A memory is found by keywords if it has this share of the weight of the query's words, or a name.
ENOUGH = 0.5
# The rarest words of a query are looked up, as long as no more memories than this have them.
MAX_OWNERS = 20_000
# Matches that are much worse than the best one are left out.
NEAR_BEST = 0.5

_OF = memories.c
_JSON = cast(_OF.metadata, Text)
_FIELDS = ("seq", "id", "kind", "tags", "agent_id", "run_id")
_TIMES = ("created_at", "updated_at", "expires_at")
_USER = select(memory_users.c.version, memory_users.c.memories).where(
    memory_users.c.user_id == bindparam("user_id")
)
_ROWS = select(
    *(_OF[name] for name in (*_FIELDS, *_TIMES)),
    case((func.length(_JSON) <= HELD_METADATA, _JSON)).label("json"),
    _OF.words,
).where(_OF.user_id == bindparam("user_id"), _OF.version > bindparam("since"))


class Entry(NamedTuple):
    """The fields of a memory. ``metadata`` is ``None`` if they are too long to be held."""

    seq: int
    id: str
    kind: str | None
    tags: Sequence[str]
    agent_id: str | None
    run_id: str | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    metadata: dict[str, Any] | None


class KeywordMatch(NamedTuple):
    """A memory that has words of a query.

    :param entry: its fields.
    :param share: of the weight of the query's words, 0 to 1; rare words weigh more.
    """

    entry: Entry
    share: float


@dataclass(frozen=True)
class Listing:
    """A user's memories at a version. It is immutable, because other threads may search it.

    ``words`` are sorted; ``owners`` has the ``seq`` of the memory that has the word.
    """

    version: int
    entries: dict[int, Entry]
    words: NDArray[np.uint64]
    owners: NDArray[np.int64]
    wordless: frozenset[int]
    size_bytes: int

    def keyword_matches(self, wanted: QueryWords, *, only_close: bool) -> Iterator[KeywordMatch]:
        """Yield the memories that have words of a query, best first.

        :param only_close: leave out those that have neither a name of the query nor most of its
            words.
        """
        hashes = np.array(wanted.hashes, np.uint64)
        starts = np.searchsorted(self.words, hashes, "left")
        counts = np.searchsorted(self.words, hashes, "right") - starts
        # A word that no memory has weighs as one that a single memory has.
        weights = np.log1p(len(self.entries) / np.maximum(counts, 1))
        rare_first = np.argsort(counts, kind="stable")
        is_read = (np.cumsum(counts[rare_first]) <= MAX_OWNERS) | (np.arange(len(counts)) == 0)
        read = [number for number in rare_first[is_read].tolist() if counts[number]]
        if not read:
            return
        owners = [self.owners[starts[n] : starts[n] + counts[n]] for n in read]
        seqs, places = np.unique(np.concatenate(owners), return_inverse=True)
        each = np.repeat(weights[read], counts[read])
        shares = np.minimum(np.bincount(places, each, len(seqs)) / weights.sum(), 1.0)
        named = np.zeros(len(seqs), bool)
        named[places[np.repeat(np.array(read) < wanted.names, counts[read])]] = True
        is_close = (shares >= ENOUGH) | (named & (shares >= NEAR_BEST * shares.max()))
        if only_close:
            seqs, shares = seqs[is_close], shares[is_close]
        for place in np.lexsort((-seqs, -shares)):
            yield KeywordMatch(self.entries[int(seqs[place])], float(shares[place]))


class Catalog:
    """The catalog of the memories of one store, for one process."""

    def __init__(self, store: Store, max_cache_bytes: int = MAX_CACHE_BYTES) -> None:
        self._store = store
        self._max_bytes = max_cache_bytes
        self._held: OrderedDict[str, Listing] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, user_id: str) -> Listing:
        """Return the present memories of a user, with expired ones that are not swept yet."""
        with self._lock:
            held = self._held.get(user_id)
        current, total = self._read(user_id, held or _EMPTY)
        if len(current.entries) != total:
            # A memory was removed, or rows changed while they were read. Read all of them again.
            current, _ = self._read(user_id, _EMPTY)
        with self._lock:
            self._held[user_id] = current
            self._held.move_to_end(user_id)
            size = sum(listing.size_bytes for listing in self._held.values())
            while size > self._max_bytes and len(self._held) > 1:
                size -= self._held.popitem(last=False)[1].size_bytes
        return current

    def matching(self, listing: Listing, conditions: Conditions) -> list[Entry]:
        """Return the memories of a user that fulfil a filter."""
        entries = listing.entries.values()
        if not conditions.needs_metadata:
            return [entry for entry in entries if conditions.matches(entry)]
        held, unread = [], []
        for entry in entries:
            if entry.metadata is None:
                unread.append(entry)
            elif conditions.matches(entry):
                held.append(entry)
        return [*held, *self._matching_unread(unread, conditions)]

    def _matching_unread(self, unread: list[Entry], conditions: Conditions) -> Iterator[Entry]:
        for start in range(0, len(unread), READ_BATCH_SIZE):
            some = {entry.id: entry for entry in unread[start : start + READ_BATCH_SIZE]}
            with self._store.read() as conn:
                rows = conn.execute(select(_OF.id, _OF.metadata).where(_OF.id.in_(list(some))))
                found = {row.id: row.metadata for row in rows}
            for id, metadata in found.items():
                if conditions.matches(entry := some[id]._replace(metadata=metadata)):
                    yield entry

    def _read(self, user_id: str, held: Listing) -> tuple[Listing, int]:
        with self._store.read() as conn:
            # Read the version first. Without a snapshot, rows that are written between the two
            # queries are read the next time.
            user = conn.execute(_USER, {"user_id": user_id}).first()
            if user is None:
                return _EMPTY, 0
            if user.version == held.version:
                return held, user.memories
            given = {"user_id": user_id, "since": held.version}
            rows = conn.execute(_ROWS, given).all()
        return _merged(held, user.version, rows), user.memories


_EMPTY = Listing(0, {}, np.zeros(0, np.uint64), np.zeros(0, np.int64), frozenset(), 0)


def _merged(held: Listing, version: int, rows: Sequence[Any]) -> Listing:
    if not rows:
        return replace(held, version=version)
    changed = {row.seq for row in rows}
    words, owners = held.words, held.owners
    if not changed.isdisjoint(held.entries):
        stays = ~np.isin(owners, list(changed))
        words, owners = words[stays], owners[stays]
    stored = [row.words or b"" for row in rows]
    new = np.frombuffer(b"".join(stored), "<u8").astype(np.uint64)
    of_new = np.repeat([row.seq for row in rows], [len(some) // 8 for some in stored])
    words, owners = np.concatenate([words, new]), np.concatenate([owners, of_new])
    order = np.argsort(words, kind="stable")
    more = sum(ENTRY_BYTES + CHARACTER_BYTES * len(row.json or "") for row in rows)
    return Listing(
        version=version,
        entries=held.entries | {row.seq: _entry(row) for row in rows},
        words=words[order],
        owners=owners[order],
        wordless=(held.wordless - changed) | {row.seq for row in rows if row.words is None},
        size_bytes=held.size_bytes + more + WORD_BYTES * len(new),
    )


def _entry(row: Any) -> Entry:
    fields = {name: getattr(row, name) for name in (*_FIELDS, *_TIMES)}
    return Entry(**fields, metadata=None if row.json is None else json.loads(row.json))
