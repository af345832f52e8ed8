"""The index that needs no service: exact search with NumPy over the user's own rows.

SQL is asked each time whether anything of the user changed, by one row; what did not is kept in
memory. Reading 10,000 vectors takes some 60 ms, comparing them about one, and every write of a
user who searches in between would make them be read again, so that only the rows that changed are
read. What was removed shows in the number of rows: what is kept and what changed contain all that
is there, so that they are all that is there when they are as many.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.memory.vectors.index import IndexState, Match, Point, Query, Space
from app.memory.vectors.packing import STORED, matrix

# Of a process, for the users who searched last; 256 dimensions of 90,000 memories.
MAX_CACHE_BYTES = 128 * 1024**2
# What a memory takes besides its vector: id, tags, places in lists; measured with tracemalloc.
ROW_BYTES = 400
NEVER = 2**62


class StoredRow(NamedTuple):
    """A memory as it is searched; ``expires_at`` in seconds since 1970, :data:`NEVER` for none."""

    id: str
    model: str
    vector: bytes
    kind: str | None
    tags: tuple[str, ...]
    expires_at: int


class Changes(NamedTuple):
    """What changed of a user's memories.

    :param version: as of which they are told.
    :param total: how many the user has now.
    :param rows: those that were added or changed since.
    """

    version: int
    total: int
    rows: Sequence[StoredRow]


class Rows(Protocol):
    """Where the memories are."""

    system: str

    def changes(self, user_id: str, since: int) -> Changes:
        """Return what changed of a user's since a version; 0 for everything."""

    def total(self) -> int:
        """Return how many memories there are of all users."""


@dataclass(frozen=True)
class _Kept:
    """A user's memories as of a version; never changed, since others may be searching it."""

    version: int
    ids: list[str]
    kinds: list[str | None]
    tags: list[tuple[str, ...]]
    expires: NDArray[np.int64]
    vectors: NDArray[np.float32]
    # Of another model's space: there, but not to be compared.
    foreign: frozenset[str]

    @property
    def total(self) -> int:
        return len(self.ids) + len(self.foreign)

    @property
    def size_bytes(self) -> int:
        return self.vectors.nbytes + self.total * ROW_BYTES


class ExactIndex:
    """Searches the rows of one store.

    :param rows: where they are.
    :param max_cache_bytes: of what is kept in memory; the user who searched last always is.
    """

    identity = None

    def __init__(self, rows: Rows, max_cache_bytes: int = MAX_CACHE_BYTES) -> None:
        self._rows = rows
        self._max_bytes = max_cache_bytes
        self._space: Space | None = None
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self.system = rows.system

    def prepare(self, space: Space) -> bool:
        """Have searches compare vectors of this space alone."""
        if space != self._space:
            with self._lock:
                self._space = space
                self._kept.clear()
        return False

    def put(self, points: Sequence[Point]) -> None:
        """Do nothing: what is stored is found."""

    def remove(self, ids: Sequence[str]) -> None:
        """Do nothing: what is not stored is not found."""

    def remove_user(self, user_id: str) -> None:
        """Forget a user's at once."""
        with self._lock:
            self._kept.pop(user_id, None)

    def search(self, query: Query) -> list[Match]:
        """Return the nearest of one user's, best first."""
        kept = self._current(query.user_id)
        if not kept.ids:
            return []
        scores = kept.vectors @ query.vector
        scores[kept.expires <= query.now] = -np.inf
        lowest = -1.0 if query.min_score is None else query.min_score
        found: list[Match] = []
        for place in _best_first(scores, None if query.kind or query.tags else query.limit):
            # Rounding makes the cosine of a text with itself 1.0000001.
            score = min(float(scores[place]), 1.0)
            if score < lowest - 1e-6 or len(found) == query.limit:
                break
            if _is_wanted(kept, int(place), query):
                found.append(Match(kept.ids[place], score))
        return found

    def waiting(self, user_id: str) -> int:
        """Return how many memories of a user the last search left out, being of another space."""
        with self._lock:
            kept = self._kept.get(user_id)
        return len((kept or self._current(user_id)).foreign)

    def check(self) -> IndexState:
        """Return how many memories there are."""
        return IndexState(np.__version__, self._rows.total())

    def ids(self, after: str | None, limit: int) -> list[str]:
        """Return none: nothing is held here that SQL does not have."""
        return []

    def _current(self, user_id: str) -> _Kept:
        if self._space is None:
            raise RuntimeError("prepare() comes before search()")
        space = self._space
        with self._lock:
            kept = self._kept.get(user_id)
        changes = self._rows.changes(user_id, kept.version if kept else 0)
        current = _merged(kept or _empty(space), changes, space)
        if current.total != changes.total:
            # Something was removed, or the rows changed while they were read: all of them again.
            changes = self._rows.changes(user_id, 0)
            current = _merged(_empty(space), changes, space)
        self._keep(user_id, current, space)
        return current

    def _keep(self, user_id: str, current: _Kept, space: Space) -> None:
        with self._lock:
            if space != self._space:
                return
            self._kept[user_id] = current
            self._kept.move_to_end(user_id)
            size = sum(kept.size_bytes for kept in self._kept.values())
            while size > self._max_bytes and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                size -= gone.size_bytes


def _best_first(scores: NDArray[np.float32], limit: int | None) -> NDArray[np.intp]:
    """Return the places of the best scores, of all of them without a limit."""
    if limit is None or limit >= len(scores):
        return np.argsort(-scores, kind="stable")
    best = np.argpartition(-scores, limit)[:limit]
    return best[np.argsort(-scores[best], kind="stable")]


def _empty(space: Space) -> _Kept:
    none = np.zeros(0, np.int64)
    return _Kept(0, [], [], [], none, np.zeros((0, space.dims), np.float32), frozenset())


def _merged(kept: _Kept, changes: Changes, space: Space) -> _Kept:
    """Return what is kept with what changed, which is taken out and put at the end."""
    if not changes.rows:
        return replace(kept, version=changes.version)
    own = [row for row in changes.rows if _is_of(row, space)]
    foreign = {row.id for row in changes.rows if not _is_of(row, space)}
    changed = foreign | {row.id for row in own}
    if not changed.isdisjoint(kept.ids):
        kept = _without(kept, changed)
    expires = np.array([row.expires_at for row in own], np.int64)
    vectors = matrix((row.vector for row in own), space.dims)
    return _Kept(
        version=changes.version,
        ids=[*kept.ids, *(row.id for row in own)],
        kinds=[*kept.kinds, *(row.kind for row in own)],
        tags=[*kept.tags, *(row.tags for row in own)],
        expires=np.concatenate([kept.expires, expires]),
        vectors=np.concatenate([kept.vectors, vectors]),
        foreign=(kept.foreign - changed) | foreign,
    )


def _without(kept: _Kept, ids: set[str]) -> _Kept:
    stays = np.array([id not in ids for id in kept.ids], bool)
    return replace(
        kept,
        ids=list(compress(kept.ids, stays)),
        kinds=list(compress(kept.kinds, stays)),
        tags=list(compress(kept.tags, stays)),
        expires=kept.expires[stays],
        vectors=kept.vectors[stays],
    )


def _is_of(row: StoredRow, space: Space) -> bool:
    return row.model == space.model and len(row.vector) == space.dims * STORED.itemsize


def _is_wanted(kept: _Kept, place: int, query: Query) -> bool:
    if query.kind is not None and kept.kinds[place] != query.kind:
        return False
    return not query.tags or not set(query.tags).isdisjoint(kept.tags[place])
