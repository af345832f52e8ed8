"""The index of memories in Qdrant."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from app.memory.scope import Scope
from app.memory.vectors.errors import IndexFailure, IndexMissing, IndexRejected
from app.memory.vectors.index import IndexState, Match, Point, Query, Space
from app.memory.vectors.qdrant import collection, filters
from app.memory.vectors.qdrant.collection import Layout
from app.memory.vectors.qdrant.connection import Address, Connection
from app.memory.vectors.qdrant.version import version_problem

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

T = TypeVar("T")
# 256 numbers are 5 kB as JSON. A server accepts 32 MB in one request.
POINTS_A_CALL = 100
IDS_A_CALL = 1000
# Creating a collection takes longer: the machines of a cluster must agree on it first.
PREPARE_S = 10.0
CHECK_S = 1.0
# More than a user may have.
MAX_MATCHES = 100_000

_log = logging.getLogger("app.vectors.qdrant")


class QdrantIndex:
    """:class:`app.memory.vectors.index.Index` over qdrant-client; safe for threads and forks."""

    def __init__(self, address: Address, layout: Layout | None = None) -> None:
        self._layout = layout or Layout()
        self._connection = Connection(address)
        self._space: Space | None = None
        place = f"{address.url}/{self._layout.prefix}"
        self._identity = "qdrant:" + hashlib.sha256(place.encode()).hexdigest()[:32]

    @property
    def system(self) -> str:
        """Its name in spans and on the status page."""
        return "qdrant"

    @property
    def identity(self) -> str:
        """A digest of the server's address and the collections' prefix. The address may be long.

        The embedder is not part of it: a vector that changes must be put again anyway.
        """
        return self._identity

    def prepare(self, space: Space) -> bool:
        """Create the collection of a space if it does not exist. An empty collection counts as new.

        If it is new, the collections of earlier embedders are dropped.
        """
        is_empty = self._call(
            lambda client: collection.make(client, self._layout, space), timeout_s=PREPARE_S
        )
        self._space = space
        if is_empty:
            self._drop_others(space)
        return is_empty

    def put(self, points: Sequence[Point]) -> None:
        """Add or replace points, with a limited number in each call."""
        name, dims = self._name(), self._dims()
        for point in points:
            if len(point.vector) != dims or not np.isfinite(point.vector).all():
                raise IndexRejected("a vector is not one of this collection's embedder")
        for start in range(0, len(points), POINTS_A_CALL):
            some = points[start : start + POINTS_A_CALL]
            self._call(partial(_put, name=name, points=some))

    def search(self, query: Query) -> list[Match]:
        """Return the closest memories of a scope that have not expired."""
        name, limit = self._name(), query.limit
        while query.only is None or query.only:
            found = self._call(partial(_search, name=name, query=query, limit=limit))
            wanted = [match for match in found if query.only is None or match.id in query.only]
            if len(wanted) >= query.limit or len(found) < limit or limit == MAX_MATCHES:
                return wanted[: query.limit]
            limit = min(limit * 8, MAX_MATCHES)
        return []

    def remove(self, ids: Sequence[str]) -> None:
        """Remove points by their ids."""
        name = self._name()
        for start in range(0, len(ids), IDS_A_CALL):
            some = list(ids[start : start + IDS_A_CALL])
            self._call(partial(_remove, name=name, ids=some))

    def remove_all(self, scope: Scope) -> None:
        """Remove all points of a scope."""
        name = self._name()
        self._call(lambda client: client.delete(name, filters.of_scope(scope), wait=True))

    def check(self) -> IndexState:
        """Return the server's version and, if a collection is in use, the number of its points."""
        version = self._call(lambda client: client.info().version, timeout_s=CHECK_S)
        if self._space is None:
            return IndexState(version, None, version_problem(version))
        name = self._name()
        try:
            points = self._call(
                lambda client: client.count(name, exact=True).count, timeout_s=CHECK_S
            )
        except IndexMissing:
            points = 0  # The next call of another kind creates the collection again.
        return IndexState(version, points, version_problem(version))

    def ids(self, after: str | None, limit: int) -> list[str]:
        """Return a page of ids, in Qdrant's order."""
        name = self._name()
        # Qdrant's offset is the first id of a page, not the last one of the page before.
        wanted = limit + (after is not None)
        found = self._call(lambda client: _ids(client, name, after, wanted))
        return [point for point in found if point != after][:limit]

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def _call(self, do: Callable[[QdrantClient], T], *, timeout_s: float | None = None) -> T:
        return self._connection.call(do, timeout_s=timeout_s)

    def _name(self) -> str:
        if self._space is None:
            raise IndexMissing("the collection of these memories is not made yet")
        return collection.name_of(self._layout, self._space)

    def _dims(self) -> int:
        return self._space.dims if self._space is not None else 0

    def _drop_others(self, space: Space) -> None:
        # Memories may have been removed since, and nothing else would clean up old collections.
        try:
            self._call(
                lambda client: collection.drop_others(client, self._layout, space),
                timeout_s=PREPARE_S,
            )
        except IndexFailure as failure:
            _log.warning("collections of earlier embedders were not removed: %s", failure)


def _put(client: QdrantClient, name: str, points: Sequence[Point]) -> None:
    from qdrant_client import models

    client.upsert(
        name,
        [
            models.PointStruct(
                id=point.id, vector=point.vector.tolist(), payload=filters.payload_of(point)
            )
            for point in points
        ],
        wait=True,
    )


def _remove(client: QdrantClient, name: str, ids: list[str]) -> None:
    from qdrant_client import models

    client.delete(name, models.PointIdsList(points=[*ids]), wait=True)


def _search(client: QdrantClient, name: str, query: Query, limit: int) -> list[Match]:
    found = client.query_points(
        name,
        query=query.vector.tolist(),
        query_filter=filters.of_query(query),
        limit=limit,
        score_threshold=query.min_score,
        with_payload=False,
    ).points
    if not all(math.isfinite(point.score) for point in found):
        raise ValueError("a score that is no number")
    return [Match(str(point.id), min(max(float(point.score), -1.0), 1.0)) for point in found]


def _ids(client: QdrantClient, name: str, offset: str | None, limit: int) -> list[str]:
    found, _ = client.scroll(
        name, limit=limit, offset=offset, with_payload=False, with_vectors=False
    )
    return [str(point.id) for point in found]
