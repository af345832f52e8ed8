"""The interface of an index of memories. SQL is the source of truth: an index can always be built
from it.

One or many processes may call an index. It may lose all of its points. The caller reads every match
again from SQL, so stale data of an index is never shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from app.memory.scope import Scope

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Vector: TypeAlias = "NDArray[np.float32]"


class Point(NamedTuple):
    """The data that an index stores for a memory.

    :param id: UUID as text.
    :param vector: of unit length, with the dimensions of the space.
    :param created_at: in seconds since 1970, like ``expires_at``.
    """

    id: str
    user_id: str
    vector: Vector
    kind: str | None
    tags: tuple[str, ...]
    created_at: int
    expires_at: int | None
    agent_id: str | None = None
    run_id: str | None = None


class Match(NamedTuple):
    """A match of a search. ``score`` is the cosine, -1 to 1."""

    id: str
    score: float


@dataclass(frozen=True)
class Query:
    """A search in an index.

    :param scope: whose memories.
    :param vector: of unit length.
    :param limit: the most matches.
    :param now: in seconds since 1970. Memories that expire at or before it are hidden.
    :param min_score: the lowest cosine; ``None`` for no limit.
    :param kind: find only memories of this kind; ``None`` for all.
    :param tags: find only memories with one of these tags; empty for all.
    :param only: ids of the memories that may be found; ``None`` for all.
    """

    vector: Vector
    scope: Scope
    limit: int
    now: int
    min_score: float | None = None
    kind: str | None = None
    tags: tuple[str, ...] = ()
    only: frozenset[str] | None = None


class Space(NamedTuple):
    """The space of the vectors in an index. Vectors of two models cannot be compared.

    :param model: the embedder's name, at most 100 characters.
    """

    model: str
    dims: int


class IndexState(NamedTuple):
    """The state of an index. ``version`` and ``points`` are ``None`` if the index has none.

    :param warning: a problem of an index that still works.
    """

    version: str | None
    points: int | None
    warning: str | None = None


class Index(Protocol):
    """An index of memories. Every method but ``search`` may be repeated without harm.

    Every method may raise :class:`app.memory.vectors.errors.IndexFailure`. Every method has a time
    limit.
    """

    @property
    def system(self) -> str:
        """Its kind, for spans (``db.system.name``) and status: ``sqlite``, ``qdrant``…"""

    @property
    def identity(self) -> str | None:
        """The place of the points, at most 100 characters. Each row that is indexed stores it.

        Another address or another collection has another identity. It is ``None`` if the index
        reads SQL itself. Then nothing is put into it, and every stored memory is indexed at once.
        """

    def prepare(self, space: Space) -> bool:
        """Prepare the index for vectors of a space. Return whether it is new and therefore empty.

        Each process calls it once, and again after :class:`IndexMissing`.
        """

    def put(self, points: Sequence[Point]) -> None:
        """Add points, or replace points with the same ids. After the call, searches find them."""

    def search(self, query: Query) -> list[Match]:
        """Return the closest memories of a scope, best first, without expired ones."""

    def remove(self, ids: Sequence[str]) -> None:
        """Remove points. Unknown ids are ignored."""

    def remove_all(self, scope: Scope) -> None:
        """Remove all points of a scope."""

    def check(self) -> IndexState:
        """Return whether the index works. Health and status call this, so it must be quick."""

    def ids(self, after: str | None, limit: int) -> list[str]:
        """Return a page of the ids in the index, in its own order, after ``after``.

        A rebuild of the index uses it to remove ids that SQL does not have any more.
        """
