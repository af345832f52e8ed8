"""The state of the memory service, for health, the status page and metrics.

A process that has had no request for memories, and whose store has none, answers without loading
the service.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from app.memory.queries import has_any
from app.memory.vectors.watch import Seen
from app.store import StoreError
from app.web.checks import Verdict, passed, warned
from app.web.current import current_config, current_store, part
from app.web.later import Later

if TYPE_CHECKING:
    from app.memory.service import Memories


class Counts(NamedTuple):
    """The number of memories, and how many of them wait for work.

    :param waiting: memories that the index does not have yet.
    :param to_remove: memories that the index must still remove.
    :param to_embed: memories whose vectors were made by another model.
    """

    memories: int = 0
    waiting: int = 0
    to_remove: int = 0
    to_embed: int = 0


def current_memories() -> Memories:
    """Return the memory service. The first call creates it."""
    return _later().get()


def counts() -> Counts:
    """Return the number of memories, and how many of them wait for work.

    :raise app.store.StoreError: the store does not answer.
    """
    if not _is_in_use():
        return Counts()
    state = current_memories().state()
    return Counts(state.memories, state.lacking, state.removals, state.foreign)


def is_index_up() -> bool | None:
    """Return whether Qdrant answers, ``None`` if it is not set up."""
    return _seen().failure is None if current_config().QDRANT_URL else None


def check() -> Verdict:
    """Warn if Qdrant does not answer, or if its version may not fit the client."""
    problem = _seen().problem
    return passed() if problem is None else warned(problem, "see the page Status")


def section() -> dict[str, Any]:
    """Return the state of embedder and index, as far as it is known without a wait, and counts.

    If the store does not answer, the counts are ``None``.
    """
    counted: dict[str, int | None] = dict.fromkeys(Counts._fields)
    with suppress(StoreError):  # The status section of the store shows this error.
        counted.update(counts()._asdict())
    seen, made = _seen(), _later().made
    return {
        "index": made.index.system if made else current_store().url.get_backend_name(),
        "host": urlsplit(current_config().QDRANT_URL or "").netloc or None,
        "ok": seen.failure is None,
        "problem": seen.problem,
        "version": seen.state.version if seen.state else None,
        "points": seen.state.points if seen.state else None,
        "embedder": made.embedders.state if made else "idle",
        "embedder_host": urlsplit(current_config().EMBEDDER_URL or "").netloc or None,
        "embedder_problem": made.embedders.failure if made else None,
        **counted,
    }


def _seen() -> Seen:
    return current_memories().watch.see() if current_config().QDRANT_URL else Seen(None, None)


def _is_in_use() -> bool:
    if _later().made is not None:
        return True
    with current_store().read() as conn:
        return has_any(conn)


def _later() -> Later[Memories]:
    memories: Later[Memories] = part("memories")
    return memories
