"""The index that needs no service: exact search with NumPy over the user's rows.

A process caches the rows of users who search. Each search reads one row of SQL to find out whether
the user's memories changed, and then reads only changed rows. Reading 10,000 vectors takes about
60 ms and comparing them about 1 ms, so reading all of them after every write would be slow. Removed
rows are noticed by the number of rows: the cached and the changed rows include all existing rows.
So if their number equals the number in SQL, no row was removed.
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

from app.memory.scope import Scope
from app.memory.vectors.index import IndexState, Match, Point, Query, Space
from app.memory.vectors.packing import STORED, matrix

# The cache of a process, for the users who searched last: 90,000 memories with 256 dimensions.
MAX_CACHE_BYTES = 128 * 1024**2
# The memory of a row besides its vector: id, tags and list entries, measured with tracemalloc.
ROW_BYTES = 400
NEVER = 2**62


class StoredRow(NamedTuple):
    """A memory for the search. ``expires_at`` is in seconds since 1970, or :data:`NEVER`."""

    id: str
    agent_id: str | None
    run_id: str | None
    model: str
    vector: bytes
    kind: str | None
    tags: tuple[str, ...]
    expires_at: int


class Changes(NamedTuple):
    """The changes of a user's memories since a version.

    :param version: the user's version after these changes.
    :param total: the number of the user's memories now.
    :param rows: the memories that were added or changed.
    """

    version: int
    total: int
    rows: Sequence[StoredRow]


class Rows(Protocol):
    """Reads memories from the store."""

    system: str

    def changes(self, user_id: str, since: int) -> Changes:
        """Return a user's memories that changed since a version; 0 returns all of them."""

    def total(self) -> int:
        """Return the number of memories of all users."""


@dataclass(frozen=True)
class _Kept:
    """A user's memories at a version. It is immutable, because other threads may search it."""

    version: int
    ids: list[str]
    # The agent and the run of each.
    scopes: list[tuple[str | None, str | None]]
    kinds: list[str | None]
    tags: list[tuple[str, ...]]
    expires: NDArray[np.int64]
    vectors: NDArray[np.float32]
    # Ids of memories with vectors of another model. They exist but cannot be compared.
    foreign: frozenset[str]

    @property
    def total(self) -> int:
        return len(self.ids) + len(self.foreign)

    @property
    def size_bytes(self) -> int:
        return self.vectors.nbytes + self.total * ROW_BYTES


class ExactIndex:
    """Searches the rows of one store.

    :param rows: reads the rows.
    :param max_cache_bytes: limit of the cache. The user who searched last is always in it.
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
        """Let searches compare only vectors of this space."""
        if space != self._space:
            with self._lock:
                self._space = space
                self._kept.clear()
        return False

    def put(self, points: Sequence[Point]) -> None:
        """Do nothing: searches find every stored memory."""

    def remove(self, ids: Sequence[str]) -> None:
        """Do nothing: searches find only stored memories."""

    def remove_all(self, scope: Scope) -> None:
        """Remove a user's memories from the cache."""
        with self._lock:
            self._kept.pop(scope.user_id, None)

    def search(self, query: Query) -> list[Match]:
        """Return the closest memories of a scope, best first."""
        kept = self._current(query.scope.user_id)
        if not kept.ids:
            return []
        scores = kept.vectors @ query.vector
        scores[kept.expires <= query.now] = -np.inf
        lowest = -1.0 if query.min_score is None else query.min_score
        found: list[Match] = []
        for place in _candidates(kept, scores, query):
            # Rounding makes the cosine of a text with itself 1.0000001.
            score = min(float(scores[place]), 1.0)
            if score < lowest - 1e-6 or len(found) == query.limit:
                break
            if _is_wanted(kept, int(place), query):
                found.append(Match(kept.ids[place], score))
        return found

    def waiting(self, user_id: str) -> int:
        """Return how many memories of a user the last search left out because of another space."""
        with self._lock:
            kept = self._kept.get(user_id)
        return len((kept or self._current(user_id)).foreign)

    def check(self) -> IndexState:
        """Return the state of the index, with the number of memories."""
        return IndexState(np.__version__, self._rows.total())

    def ids(self, after: str | None, limit: int) -> list[str]:
        """Return an empty list: the index has no ids besides those in SQL."""
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
            # A memory was removed, or rows changed while they were read. Read all of them again.
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
    """Return the positions of the best scores, or of all scores if there is no limit."""
    if limit is None or limit >= len(scores):
        return np.argsort(-scores, kind="stable")
    best = np.argpartition(-scores, limit)[:limit]
    return best[np.argsort(-scores[best], kind="stable")]


def _candidates(kept: _Kept, scores: NDArray[np.float32], query: Query) -> NDArray[np.intp]:
    """Return the positions to look at, best score first."""
    if query.only is None:
        return _best_first(scores, None if _narrows(query) else query.limit)
    places = [place for place, id in enumerate(kept.ids) if id in query.only]
    own = np.array(places, np.intp)
    return own[np.argsort(-scores[own], kind="stable")]


def _empty(space: Space) -> _Kept:
    none = np.zeros(0, np.int64)
    return _Kept(0, [], [], [], [], none, np.zeros((0, space.dims), np.float32), frozenset())


def _merged(kept: _Kept, changes: Changes, space: Space) -> _Kept:
    """Return the cached rows with the changes. Changed rows are moved to the end."""
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
        scopes=[*kept.scopes, *((row.agent_id, row.run_id) for row in own)],
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
        scopes=list(compress(kept.scopes, stays)),
        kinds=list(compress(kept.kinds, stays)),
        tags=list(compress(kept.tags, stays)),
        expires=kept.expires[stays],
        vectors=kept.vectors[stays],
    )


def _is_of(row: StoredRow, space: Space) -> bool:
    return row.model == space.model and len(row.vector) == space.dims * STORED.itemsize


def _narrows(query: Query) -> bool:
    """Return whether a query is for a part of the user's memories."""
    return not query.scope.is_whole_user or bool(query.kind or query.tags)


def _is_wanted(kept: _Kept, place: int, query: Query) -> bool:
    agent_id, run_id = kept.scopes[place]
    if query.scope.agent_id not in (None, agent_id) or query.scope.run_id not in (None, run_id):
        return False
    if query.kind is not None and kept.kinds[place] != query.kind:
        return False
    return not query.tags or not set(query.tags).isdisjoint(kept.tags[place])
