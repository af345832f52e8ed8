"""The memory service: notes of agents and people, found again by what they mean."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from flask import Response, abort
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field

from app.api import bp
from app.api.events import Limit, RowNumber
from app.api.openapi import Operation, answer, describe
from app.api.requests import Body, Query, read_body, read_query
from app.memory import current_memories, records
from app.memory.content import Draft, SearchOptions
from app.memory.errors import Refused
from app.memory.fields import Content, ExpiresAt, Kind, Metadata, Tags, UserId
from app.memory.observed import operation
from app.web import access
from app.web.current import current_store
from app.web.errors import FieldErrors

if TYPE_CHECKING:
    from app.memory.service import Stored

UNKNOWN = "the user has no memory of this id"
# Content in escapes, of six bytes a character, and metadata.
MAX_BYTES = 256 * 1024


class MemoryBody(Body):
    """What is to be kept."""

    content: Content
    kind: Kind | None = None
    tags: Tags = []
    metadata: Metadata = {}
    expires_at: ExpiresAt | None = None

    def draft(self) -> Draft:
        """Return it as the service takes it, each tag once."""
        tags = tuple(dict.fromkeys(self.tags))
        return Draft(self.content, self.kind, tags, self.metadata, self.expires_at)


class NewMemory(MemoryBody):
    """What is to be kept, and of whom."""

    user_id: UserId


class MemorySearch(Body):
    """What is looked for; `tags` asks for memories that have one of them."""

    query: Content
    user_id: UserId
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    min_score: (
        Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False, description="A cosine.")] | None
    ) = None
    kind: Kind | None = None
    tags: Tags = []


class OfUser(Query):
    """Whose memory."""

    user_id: UserId


class MemoryQuery(OfUser):
    """Whose memories, and what a list of them is narrowed to."""

    limit: Limit = 50
    cursor: Annotated[RowNumber, Field(description="`next` of the page before.")] | None = None
    kind: Kind | None = None
    q: (
        Annotated[str, Field(min_length=1, max_length=500, description="Part of the content.")]
        | None
    ) = None


class Memory(BaseModel):
    """A memory; while `indexed` is false searches do not find it yet."""

    id: str
    user_id: str
    content: str
    kind: str | None
    tags: list[str]
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    indexed: bool


class StoredMemory(Memory):
    """A memory as it was stored; `duplicate_of` is one that says nearly the same.

    `scrubbed` says which secrets were taken out before, by `path` and `rule`.
    """

    duplicate_of: str | None
    scrubbed: list[dict[str, str]]


class MemoryHit(Memory):
    """A memory that was found; `score` is the cosine, 1 for the same meaning."""

    score: float


class MemoryResults(BaseModel):
    """What was found, best first; `waiting` memories were not searched, not being indexed yet."""

    results: list[MemoryHit]
    waiting: int


class MemoryPage(BaseModel):
    """A page of memories, newest first; `total` where nothing narrows them."""

    memories: list[Memory]
    next: str | None
    total: int | None


class Deleted(BaseModel):
    """How many memories were deleted."""

    deleted: int


@bp.post("/memories")
@access.remembers
@describe(
    Operation(
        "Keep a memory; the same content of the same user keeps its id",
        {201: StoredMemory, 200: StoredMemory},
        body=NewMemory,
        problems=(409, 413, 415, 422, 503),
        tag="memories",
    )
)
def post_memory() -> ResponseReturnValue:
    """Keep a memory: 201, or 200 where the content was there already.

    :raise 409: the user has as many as are kept. :raise FieldErrors: a field is wrong (422).
    """
    body = read_body(NewMemory, max_bytes=MAX_BYTES)
    with _refusals():
        stored = current_memories().add(
            body.user_id, body.draft(), frozenset(body.model_fields_set)
        )
    return answer(_stored(stored), 201 if stored.is_new else 200)


@bp.post("/memories/search")
@access.remembers
@describe(
    Operation(
        "Find memories of a user by what they mean",
        {200: MemoryResults},
        body=MemorySearch,
        problems=(413, 415, 422, 503),
        tag="memories",
    )
)
def search_memories() -> ResponseReturnValue:
    """Return what is near a text.

    :raise FieldErrors: a field is wrong (422).
    """
    body = read_body(MemorySearch, max_bytes=MAX_BYTES)
    options = SearchOptions(body.limit, body.min_score, body.kind, tuple(body.tags))
    found = current_memories().search(body.user_id, body.query, options)
    hits = [MemoryHit(**_shape(hit.row), score=round(hit.score, 6)) for hit in found.hits]
    return answer(MemoryResults(results=hits, waiting=found.waiting))


@bp.get("/memories")
@access.remembers
@describe(
    Operation(
        "Memories of a user, newest first",
        {200: MemoryPage},
        query=MemoryQuery,
        problems=(422, 503),
        tag="memories",
    )
)
def get_memories() -> ResponseReturnValue:
    """Return a page of memories."""
    query = read_query(MemoryQuery)
    narrowed = records.Filter(query.kind, query.q)
    with operation("list", query.user_id), current_store().read() as conn:
        rows = records.list_memories(
            conn, query.user_id, narrowed, before=query.cursor, limit=query.limit + 1
        )
        total = records.count(conn, query.user_id) if narrowed == records.Filter() else None
    page = rows[: query.limit]
    more = str(page[-1].seq) if len(rows) > query.limit else None
    shown = [Memory(**_shape(row)) for row in page]
    return answer(MemoryPage(memories=shown, next=more, total=total))


@bp.delete("/memories")
@access.remembers
@describe(
    Operation(
        "Delete everything of a user: texts, vectors, and what an index has of them",
        {200: Deleted},
        query=OfUser,
        problems=(422, 503),
        tag="memories",
    )
)
def delete_memories() -> ResponseReturnValue:
    """Delete all memories of a user and say how many there were."""
    user_id = read_query(OfUser).user_id
    return answer(Deleted(deleted=current_memories().remove_user(user_id)))


@bp.get("/memories/<memory_id>")
@access.remembers
@describe(
    Operation("One memory", {200: Memory}, query=OfUser, problems=(404, 422, 503), tag="memories")
)
def get_memory(memory_id: str) -> ResponseReturnValue:
    """Return a memory.

    :raise 404: the user has none of this id.
    """
    user_id, id = read_query(OfUser).user_id, _id(memory_id)
    with operation("get", user_id, id=id), current_store().read() as conn:
        row = records.find(conn, user_id, id)
    if row is None:
        abort(404, description=UNKNOWN)
    return answer(Memory(**_shape(row)))


@bp.put("/memories/<memory_id>")
@access.remembers
@describe(
    Operation(
        "Replace a memory as a whole; it keeps its id",
        {200: StoredMemory},
        body=MemoryBody,
        query=OfUser,
        problems=(404, 409, 413, 415, 422, 503),
        tag="memories",
    )
)
def put_memory(memory_id: str) -> ResponseReturnValue:
    """Replace a memory and return it.

    :raise 404: the user has none of this id. :raise 409: another one has this content.
    """
    user_id, id = read_query(OfUser).user_id, _id(memory_id)
    draft = read_body(MemoryBody, max_bytes=MAX_BYTES).draft()
    with _refusals():
        stored = current_memories().change(user_id, id, draft)
    if stored is None:
        abort(404, description=UNKNOWN)
    return answer(_stored(stored))


@bp.delete("/memories/<memory_id>")
@access.remembers
@describe(
    Operation(
        "Delete a memory", {204: None}, query=OfUser, problems=(404, 422, 503), tag="memories"
    )
)
def delete_memory(memory_id: str) -> ResponseReturnValue:
    """Delete a memory.

    :raise 404: the user has none of this id.
    """
    user_id = read_query(OfUser).user_id
    if not current_memories().remove(user_id, _id(memory_id)):
        abort(404, description=UNKNOWN)
    return Response(status=204)


@contextmanager
def _refusals() -> Iterator[None]:
    """Answer what cannot be kept with 409."""
    try:
        yield
    except Refused as error:
        abort(409, description=str(error))


def _id(given: str) -> str:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise FieldErrors([{"field": "id", "message": "a UUID is expected"}]) from None


def _stored(stored: Stored) -> StoredMemory:
    values = _shape(stored.row) | {"indexed": stored.indexed}
    scrubbed = [finding._asdict() for finding in stored.scrubbed]
    return StoredMemory(**values, duplicate_of=stored.duplicate_of, scrubbed=scrubbed)


def _shape(row: Any) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in Memory.model_fields if name != "indexed"}
    return values | {"indexed": current_memories().is_indexed(row)}
