"""What an index of memories does; SQL is the truth, and an index can always be made from it.

An index is asked by one process at a time or by many, keeps what it is given, and may lose all of
it: whoever asks reads every match from SQL again, so that what is stale here is never seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Vector: TypeAlias = "NDArray[np.float32]"


class Point(NamedTuple):
    """What an index holds of a memory.

    :param id: UUID as text.
    :param vector: of unit length, as many dimensions as the space has.
    :param created_at: seconds since 1970, as is ``expires_at``.
    """

    id: str
    user_id: str
    vector: Vector
    kind: str | None
    tags: tuple[str, ...]
    created_at: int
    expires_at: int | None


class Match(NamedTuple):
    """A memory that was found; ``score`` is the cosine, -1 to 1."""

    id: str
    score: float


@dataclass(frozen=True)
class Query:
    """What is asked of an index.

    :param vector: of unit length.
    :param limit: how many matches at most.
    :param min_score: cosine; ``None`` for no limit.
    :param kind: only this kind; ``None`` for every one.
    :param tags: only memories with one of them; empty for all.
    :param now: seconds since 1970; what expires at or before is hidden.
    """

    vector: Vector
    user_id: str
    limit: int
    now: int
    min_score: float | None = None
    kind: str | None = None
    tags: tuple[str, ...] = ()


class Space(NamedTuple):
    """Whose vectors an index holds; those of two models cannot be compared.

    :param model: the embedder's name, at most 100 characters.
    """

    model: str
    dims: int


class IndexState(NamedTuple):
    """What an index says of itself; ``version`` and ``points`` are ``None`` where it has none.

    :param warning: what is not as it should be although it works.
    """

    version: str | None
    points: int | None
    warning: str | None = None


class Index(Protocol):
    """An index of memories; every method but ``search`` may be repeated without harm.

    Every method may raise :class:`app.memory.vectors.errors.IndexFailure`; none waits without
    bound.
    """

    @property
    def system(self) -> str:
        """What it is, for spans (``db.system.name``) and status: ``sqlite``, ``qdrant``…"""

    @property
    def identity(self) -> str | None:
        """The place where points are, at most 100 characters, kept at each row that is there.

        Another address or another collection has another one. ``None``: it reads SQL itself, so
        that nothing has to be put there, and every memory is indexed as soon as it is stored.
        """

    def prepare(self, space: Space) -> bool:
        """Make it ready for vectors of a space; return whether it was made new, hence is empty.

        Asked once by each process, and again after :class:`IndexMissing`.
        """

    def put(self, points: Sequence[Point]) -> None:
        """Add points, or replace those of the same ids; what was put is found when this returns."""

    def search(self, query: Query) -> list[Match]:
        """Return the nearest of one user's, best first, without the expired."""

    def remove(self, ids: Sequence[str]) -> None:
        """Remove points; ids that are not there do not matter."""

    def remove_user(self, user_id: str) -> None:
        """Remove all points of a user."""

    def check(self) -> IndexState:
        """Ask whether it works; called for health and status, hence quick."""

    def ids(self, after: str | None, limit: int) -> list[str]:
        """Return a page of the ids that it holds, in its own order, behind ``after``.

        What SQL does not have any more is removed by whoever makes the index anew.
        """
