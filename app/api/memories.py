"""The memory service: notes of agents and people, searched by their meaning."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from app.api.requests import Paged, Query, first_page
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.memory import current_memories, history, queries, user_counts
from app.memory.inputs import (
    MemoryBody,
    MemoryFilter,
    MemoryPatch,
    MemorySearch,
    NewMemory,
    OfScope,
)
from app.memory.observed import operation
from app.web import access
from app.web.current import current_store
from app.web.errors import FieldErrors, or_404

if TYPE_CHECKING:
    from app.memory.searching import Hit
    from app.memory.service import Stored

UNKNOWN = "the user, or this agent or run of the user, has no memory of this id"
route = Routes("memories")


class Whose(Query, OfScope):
    """Whose memory or memories."""


class MemoryQuery(MemoryFilter, Paged, Whose):
    """Whose memories, and which of them to list."""


class Memory(ApiModel):
    """A memory; searches do not find it while `indexed` is false."""

    id: str
    user_id: str
    agent_id: str | None
    run_id: str | None
    content: str
    kind: str | None
    tags: list[str]
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    indexed: bool


class StoredMemory(Memory):
    """A memory as it was stored; `duplicate_of` is a memory with nearly the same content.

    `scrubbed` lists the secrets that were removed before it was stored, by `path` and `rule`.
    """

    duplicate_of: str | None
    scrubbed: list[dict[str, str]]


class MemoryChange(ApiModel):
    """A change of a memory: `before` and `after` have the fields that it changed.

    `by` is a user, `token:NAME`, `loopback` or `command line`.
    """

    at: datetime
    by: str
    before: dict[str, Any]
    after: dict[str, Any]


class MemoryHistory(ApiModel):
    """The changes of a memory, newest first."""

    history: list[MemoryChange]


class MemoryHit(Memory):
    """A result of a search; `score` is the cosine similarity, 1 for the same meaning.

    `found_by` says whether it was found by `meaning`, by `keywords` or by both. In the mode
    `keyword`, `score` is the share of the query's words that the memory has; rare words count more.
    """

    score: float
    found_by: list[Literal["meaning", "keywords"]]


class MemoryResults(ApiModel):
    """Search results, the best first; `waiting` counts memories that are not indexed yet.

    `problem` says why only keywords were searched, as in the mode `keyword`, although the mode is
    `auto`: the embedder or the index does not answer.
    """

    results: list[MemoryHit]
    waiting: int
    problem: str | None


class MemoryPage(ApiModel):
    """A page of memories, newest first; `total` is null if the list is filtered."""

    memories: list[Memory]
    next: str | None
    total: int | None


class Deleted(ApiModel):
    """The number of memories that were deleted."""

    deleted: int


@route("POST /memories", access.remembers, status=201, also=200)
def post_memory(body: NewMemory) -> tuple[StoredMemory, int]:
    """Store a memory; the same content of the same user, agent and run keeps its id.

    The answer is 200 if they had the content already.

    :raise 409: the user has the largest allowed number of memories.
    """
    stored = current_memories().add(body.scope, body)
    return stored_memory(stored), 201 if stored.is_new else 200


@route("POST /memories/search", access.remembers)
def search_memories(body: MemorySearch) -> MemoryResults:
    """Search the memories of a user, or of an agent or run of the user.

    By meaning and keywords, or by one of them as `mode` says. If the embedder or the index does not
    answer, the mode `auto` searches by keywords and `problem` says why; the mode `vector` is
    answered with 503.
    """
    found = current_memories().search(body)
    hits = [_hit(hit) for hit in found.hits]
    return MemoryResults(results=hits, waiting=found.waiting, problem=found.problem)


@route("GET /memories", access.remembers)
def get_memories(query: MemoryQuery) -> MemoryPage:
    """List the memories of a user, or of an agent or run of the user, newest first."""
    rows = current_memories().listed(query.scope, query, before=query.cursor, limit=query.limit + 1)
    page, more = first_page(rows, query.limit, "seq")
    return MemoryPage(memories=[_shown(row) for row in page], next=more, total=_total(query))


@route("DELETE /memories", access.remembers)
def delete_memories(query: Whose) -> Deleted:
    """Delete all memories of a user, or of an agent or run of the user.

    Texts, vectors, and their entries in the index are deleted.
    """
    return Deleted(deleted=current_memories().remove_all(query.scope))


@route("GET /memories/<memory_id>", access.remembers)
def get_memory(memory_id: str, query: Whose) -> Memory:
    """Return a memory.

    :raise 404: the user, agent or run has no memory with this id.
    """
    id = _id(memory_id)
    with operation("get", query.user_id, id=id), current_store().read() as conn:
        row = queries.find(conn, query.scope, id)
    return _shown(or_404(row, UNKNOWN))


@route("GET /memories/<memory_id>/history", access.remembers)
def get_memory_history(memory_id: str, query: Whose) -> MemoryHistory:
    """Return the last 20 changes of a memory, newest first, of the last 90 days.

    When it was stored is its `created_at`. The history is deleted with the memory.

    :raise 404: the user, agent or run has no memory with this id.
    """
    id = _id(memory_id)
    with operation("history", query.user_id, id=id), current_store().read() as conn:
        row = or_404(queries.find(conn, query.scope, id), UNKNOWN)
        changes = history.changes_of(conn, row)
    return MemoryHistory(history=[MemoryChange.of(change) for change in changes])


@route("PUT /memories/<memory_id>", access.remembers)
def put_memory(memory_id: str, query: Whose, body: MemoryBody) -> StoredMemory:
    """Replace a memory as a whole; it keeps its id, its agent and its run.

    :raise 404: the user, agent or run has no memory with this id.
    :raise 409: another memory of the same user, agent and run has this content.
    """
    stored = current_memories().change(query.scope, _id(memory_id), body.model_dump())
    return stored_memory(or_404(stored, UNKNOWN))


@route("PATCH /memories/<memory_id>", access.remembers)
def patch_memory(memory_id: str, query: Whose, body: MemoryPatch) -> StoredMemory:
    """Change fields of a memory; it keeps its id, its agent and its run.

    A field that is not given stays as it is; `null` clears a field. All of the memory is scrubbed.

    :raise 404: the user, agent or run has no memory with this id.
    :raise 409: another memory of the same user, agent and run has this content.
    """
    stored = current_memories().change(query.scope, _id(memory_id), body.changes())
    return stored_memory(or_404(stored, UNKNOWN))


@route("DELETE /memories/<memory_id>", access.remembers)
def delete_memory(memory_id: str, query: Whose) -> None:
    """Delete a memory.

    :raise 404: the user, agent or run has no memory with this id.
    """
    or_404(current_memories().remove(query.scope, _id(memory_id)) or None, UNKNOWN)


def _id(given: str) -> str:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise FieldErrors([{"field": "id", "message": "a UUID is expected"}]) from None


def stored_memory(stored: Stored) -> StoredMemory:
    """Return the answer for a memory that was just stored."""
    return StoredMemory.of(
        stored.row,
        indexed=stored.indexed,
        duplicate_of=stored.duplicate_of,
        scrubbed=[finding._asdict() for finding in stored.scrubbed],
    )


def _total(query: MemoryQuery) -> int | None:
    """Return the number of a user's memories, ``None`` if the list is filtered."""
    if not query.scope.is_whole_user or any((query.kind, query.q, query.filters)):
        return None
    with current_store().read() as conn:
        return user_counts.count(conn, query.user_id)


def _hit(hit: Hit) -> MemoryHit:
    return MemoryHit.of(_shown(hit.row), score=round(hit.score, 6), found_by=list(hit.found_by))


def _shown(row: Any) -> Memory:
    return Memory.of(row, indexed=current_memories().indexing.has(row))
