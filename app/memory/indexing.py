"""The index of the memories, beside SQL: what is put into it, and which memories it lacks.

Every change is in SQL before. A request then writes to the index too, with a time limit. If this
fails, the background task repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app.memory import pending
from app.memory.gate import Gate
from app.memory.observed import report_failure
from app.memory.scope import Scope
from app.memory.vectors.embedder import EmbedderSource
from app.memory.vectors.errors import IndexFailure
from app.memory.vectors.exact import ExactIndex
from app.memory.vectors.index import Index, Match, Query, Space
from app.store import Store


class Indexing:
    """The index of the memories of one store.

    :param gate: calls the index.
    """

    def __init__(self, store: Store, index: Index, gate: Gate, embedders: EmbedderSource) -> None:
        self._store, self._index, self._gate = store, index, gate
        self._embedders = embedders

    def search(self, space: Space, query: Query) -> list[Match]:
        """Return the memories that are closest to a vector.

        :raise IndexFailure: the index does not answer.
        """
        return self._gate.call("search", space, lambda: self._index.search(query))

    def put(self, ids: Sequence[str]) -> None:
        """Put memories that have a vector into the index, if it is not the store itself."""
        name, space = self._index.identity, self._embedders.space
        if name is None or space is None:
            return
        with self._store.read() as conn:
            found = [pending.find_point(conn, id) for id in dict.fromkeys(ids)]
        rows = [row for row in found if row is not None and row.model == space.model]
        if not rows:
            return
        points = [pending.point_of(row) for row in rows]
        try:
            self._gate.call("upsert", space, lambda: self._index.put(points))
        except IndexFailure as error:
            report_failure(error)
            return
        with self._store.write(durable=False) as conn:
            pending.mark(conn, name, [(row.id, row.version) for row in rows])

    def remove(self, ids: Sequence[str]) -> None:
        """Remove memories from the index that SQL does not have any more."""
        self._remove(lambda: self._index.remove(ids))

    def remove_all(self, scope: Scope) -> None:
        """Remove all memories of a scope from the index."""
        self._remove(lambda: self._index.remove_all(scope))

    def has(self, row: Any) -> bool:
        """Return whether searches find a memory by its meaning."""
        is_in_index = self._index.identity is None or row.indexed_in == self._index.identity
        return is_in_index and self.has_vector(row)

    def has_vector(self, row: Any) -> bool:
        """Return whether a memory has a vector of the present embedder, as far as it is known."""
        space = self._embedders.space
        return bool(row.model) if space is None else row.model == space.model

    def waiting(self, user_id: str) -> int:
        """Return how many memories of a user searches do not find yet."""
        if isinstance(self._index, ExactIndex):
            return self._index.waiting(user_id)
        with self._store.read() as conn:
            return pending.count_lacking(conn, str(self._index.identity), user_id)

    def _remove(self, function: Callable[[], None]) -> None:
        # If this fails, the background task does it later: SQL has a record of the removal.
        space = self._embedders.space
        if space is None:  # Only a loaded embedder knows the space. Do not load it for a removal.
            return
        try:
            self._gate.call("delete", space, function)
        except IndexFailure as error:
            report_failure(error)
