"""An in-memory index for tests that fails when a test wants it to fail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.memory.scope import Scope
from app.memory.vectors.embedder import Embedded
from app.memory.vectors.errors import IndexFailure, IndexMissing
from app.memory.vectors.index import IndexState, Match, Point, Query, Space


class FlakyIndex:
    """An index that holds points in a dictionary; every call raises ``failure`` while it is set.

    :param identity: of the index, like that of an index whose points must be put there.
    """

    system = "flaky"

    def __init__(self, identity: str = "flaky:1") -> None:
        self.identity = identity
        self.points: dict[str, Point] | None = None
        self.space: Space | None = None
        self.failure: IndexFailure | None = None
        self.calls: list[str] = []

    def prepare(self, space: Space) -> bool:
        self._called("prepare")
        is_new = self.points is None or self.space != space
        if is_new:
            self.points, self.space = {}, space
        return is_new

    def put(self, points: Sequence[Point]) -> None:
        self._called("put")
        self._held().update({point.id: point for point in points})

    def search(self, query: Query) -> list[Match]:
        self._called("search")
        matches = [
            Match(point.id, float(point.vector @ query.vector))
            for point in self._held().values()
            if query.scope.has(point)
            and (point.expires_at is None or point.expires_at > query.now)
            and (query.only is None or point.id in query.only)
            and (query.kind is None or point.kind == query.kind)
            and (not query.tags or set(query.tags) & set(point.tags))
        ]
        lowest = -1.0 if query.min_score is None else query.min_score
        best = sorted(matches, key=lambda match: -match.score)
        return [match for match in best if match.score >= lowest][: query.limit]

    def remove(self, ids: Sequence[str]) -> None:
        self._called("remove")
        for id in ids:
            self._held().pop(id, None)

    def remove_all(self, scope: Scope) -> None:
        self._called("remove_all")
        self.remove([point.id for point in self._held().values() if scope.has(point)])

    def check(self) -> IndexState:
        self._called("check")
        return IndexState("1.0", len(self._held()))

    def ids(self, after: str | None, limit: int) -> list[str]:
        self._called("ids")
        return [id for id in sorted(self._held()) if after is None or id > after][:limit]

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.failure is not None:
            raise self.failure

    def _held(self) -> dict[str, Point]:
        if self.points is None:
            raise IndexMissing("the collection is not there")
        return self.points


class Lengths:
    """An embedder whose vectors contain only the length of a text."""

    name = "lengths"
    dims = 2

    def embed(self, texts: Sequence[str]) -> Embedded:
        rows = [[len(text), 1.0] for text in texts]
        return Embedded(np.array(rows, np.float32), None)


def broken() -> None:
    """Fail like the factory of an embedder that does not load."""
    raise OSError("the weights are not there")
