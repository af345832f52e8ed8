"""The memory service: notes of agents and people, found again by what they mean."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter

from app.api.errors import answer_with
from app.api.requests import Body, Paged, Query, first_page
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.memory import records
from app.memory.content import MAX_CONTENT, MAX_KIND, MAX_TAG, MAX_TAGS, MAX_USER_ID, Draft
from app.memory.errors import Refused
from app.memory.observed import operation
from app.memory.service import Stored, Wanted
from app.store import utc_now
from app.web import access
from app.web.current import current_memories, current_store
from app.web.errors import FieldErrors, or_404

UNKNOWN = "the user has no memory of this id"
MAX_METADATA_BYTES = 16 * 1024
MAX_DEPTH = 8
# A day before the calendar ends, which no time zone leads out of.
LAST_MOMENT = datetime(9999, 12, 30, tzinfo=UTC)

# PostgreSQL refuses NUL in text, and no UTF-8 can write half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _storable(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise ValueError("text without NUL and without halves of surrogate pairs is expected")
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("something else than spaces is expected")
    return _storable(text)


def _moment(value: object) -> object:
    if value is None:
        return None
    try:
        moment = _MOMENT.validate_strings(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    # Strict JSON has no dates: this is where a text becomes one, and where it is no number.
    if moment is None or moment.tzinfo is None or str(value).strip().lstrip("-").isdigit():
        raise ValueError("a date and time with an offset is expected, such as 2030-01-31T12:00:00Z")
    if not utc_now() < moment < LAST_MOMENT:
        raise ValueError("a moment that is still to come is expected")
    return moment.astimezone(UTC)


_MOMENT: TypeAdapter[datetime] = TypeAdapter(datetime)


def _metadata(values: dict[str, Any]) -> dict[str, Any]:
    _check_json(values, "", MAX_DEPTH)
    if len(json.dumps(values)) > MAX_METADATA_BYTES:
        raise ValueError(f"at most {MAX_METADATA_BYTES} bytes of JSON are expected")
    return values


def _check_json(value: object, path: str, depth: int) -> None:
    """Raise ValueError for what no store or index can keep, naming the place below the field."""
    where = f" at {path[1:].encode('ascii', 'replace').decode()!r}" if path else ""
    if depth < 0:
        raise ValueError(f"at most {MAX_DEPTH} levels are expected{where}"[:300])
    if isinstance(value, str) and _UNSTORABLE.search(value):
        raise ValueError(f"text without NUL and halves of surrogate pairs is expected{where}"[:300])
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a finite number is expected{where}"[:300])
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"an integer of at most 64 bits is expected{where}"[:300])
    for name, member in _members(value):
        _check_json(name, path, depth)
        _check_json(member, f"{path}.{name}", depth - 1)


def _members(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((str(number), member) for number, member in enumerate(value))


UserId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_USER_ID,
        description="Whose memories; no other user's are ever seen.",
    ),
    AfterValidator(_said),
]
Content = Annotated[str, Field(min_length=1, max_length=MAX_CONTENT), AfterValidator(_said)]
Kind = Annotated[str, Field(min_length=1, max_length=MAX_KIND), AfterValidator(_storable)]
Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG), AfterValidator(_storable)]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS)]
Metadata = Annotated[
    dict[str, Any],
    Field(description="JSON of your own, at most 16 KiB; integers of at most 64 bits."),
    AfterValidator(_metadata),
]
ExpiresAt = Annotated[
    datetime,
    BeforeValidator(_moment),
    Field(description="From then on it is hidden, and removed soon after; RFC 3339."),
]

route = Routes("memories")
answer_with(409, Refused)


class _LargeBody(Body):
    # Content in escapes, of six bytes a character, and metadata.
    max_bytes = 256 * 1024


class MemoryBody(_LargeBody):
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


class MemorySearch(_LargeBody):
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


class MemoryQuery(Paged, OfUser):
    """Whose memories, and what a list of them is narrowed to."""

    kind: Kind | None = None
    q: (
        Annotated[str, Field(min_length=1, max_length=500, description="Part of the content.")]
        | None
    ) = None


class Memory(ApiModel):
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


class MemoryResults(ApiModel):
    """What was found, best first; `waiting` memories were not searched, not being indexed yet."""

    results: list[MemoryHit]
    waiting: int


class MemoryPage(ApiModel):
    """A page of memories, newest first; `total` where nothing narrows them."""

    memories: list[Memory]
    next: str | None
    total: int | None


class Deleted(ApiModel):
    """How many memories were deleted."""

    deleted: int


@route("POST /memories", access.remembers, status=201, also=200)
def post_memory(body: NewMemory) -> tuple[StoredMemory, int]:
    """Keep a memory; the same content of the same user keeps its id.

    Answers 200 if the content was there already.

    :raise 409: the user has as many as are kept.
    """
    stored = current_memories().add(body.user_id, body.draft(), frozenset(body.model_fields_set))
    return _stored(stored), 201 if stored.is_new else 200


@route("POST /memories/search", access.remembers)
def search_memories(body: MemorySearch) -> MemoryResults:
    """Find memories of a user by what they mean."""
    wanted = Wanted(body.limit, body.min_score, body.kind, tuple(body.tags))
    found = current_memories().search(body.user_id, body.query, wanted)
    hits = [MemoryHit.of(_shown(hit.row), score=round(hit.score, 6)) for hit in found.hits]
    return MemoryResults(results=hits, waiting=found.waiting)


@route("GET /memories", access.remembers)
def get_memories(query: MemoryQuery) -> MemoryPage:
    """Memories of a user, newest first."""
    narrowed = records.Filter(query.kind, query.q)
    with operation("list", query.user_id), current_store().read() as conn:
        rows = records.list_memories(
            conn, query.user_id, narrowed, before=query.cursor, limit=query.limit + 1
        )
        total = records.count(conn, query.user_id) if narrowed == records.Filter() else None
    page, more = first_page(rows, query.limit, "seq")
    return MemoryPage(memories=[_shown(row) for row in page], next=more, total=total)


@route("DELETE /memories", access.remembers)
def delete_memories(query: OfUser) -> Deleted:
    """Delete everything of a user: texts, vectors, and what an index has of them."""
    return Deleted(deleted=current_memories().remove_user(query.user_id))


@route("GET /memories/<memory_id>", access.remembers)
def get_memory(memory_id: str, query: OfUser) -> Memory:
    """One memory.

    :raise 404: the user has none of this id.
    """
    user_id, id = query.user_id, _id(memory_id)
    with operation("get", user_id, id=id), current_store().read() as conn:
        row = records.find(conn, user_id, id)
    return _shown(or_404(row, UNKNOWN))


@route("PUT /memories/<memory_id>", access.remembers)
def put_memory(memory_id: str, query: OfUser, body: MemoryBody) -> StoredMemory:
    """Replace a memory as a whole; it keeps its id.

    :raise 404: the user has none of this id. :raise 409: another one has this content.
    """
    stored = current_memories().change(query.user_id, _id(memory_id), body.draft())
    return _stored(or_404(stored, UNKNOWN))


@route("DELETE /memories/<memory_id>", access.remembers)
def delete_memory(memory_id: str, query: OfUser) -> None:
    """Delete a memory.

    :raise 404: the user has none of this id.
    """
    or_404(current_memories().remove(query.user_id, _id(memory_id)) or None, UNKNOWN)


def _id(given: str) -> str:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise FieldErrors([{"field": "id", "message": "a UUID is expected"}]) from None


def _stored(stored: Stored) -> StoredMemory:
    return StoredMemory.of(
        stored.row,
        indexed=stored.indexed,
        duplicate_of=stored.duplicate_of,
        scrubbed=[finding._asdict() for finding in stored.scrubbed],
    )


def _shown(row: Any) -> Memory:
    return Memory.of(row, indexed=current_memories().is_indexed(row))
