"""The requests of the memory service: store, replace, search and list memories."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    WithJsonSchema,
)

from app.inputs import Body, Filter, PatchBody, unchanged
from app.memory.filters import MAX_CONDITIONS, Conditions, parse
from app.memory.filters import MAX_DEPTH as MAX_LEVELS
from app.memory.scope import Scope
from app.store import utc_now

# In characters. To embed a text of this length takes 40 ms of CPU; 200,000 characters take 0.6 s.
MAX_CONTENT = 32_000
MAX_USER_ID = 200
MAX_KIND = 64
MAX_TAG = 64
MAX_TAGS = 32
MAX_METADATA_BYTES = 16 * 1024
MAX_DEPTH = 8
MAX_BATCH = 100
FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
# One day before the calendar ends, so that no time zone moves it beyond the end.
LAST_MOMENT = datetime(9999, 12, 30, tzinfo=UTC)

# PostgreSQL refuses NUL in text, and UTF-8 cannot encode half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _storable(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise ValueError("text without NUL and without halves of surrogate pairs is expected")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("something else than spaces is expected")
    return _storable(text)


def _once(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _moment(value: object) -> object:
    if value is None:
        return None
    moment = _with_offset(value)
    if not utc_now() < moment < LAST_MOMENT:
        raise ValueError("a moment that is still to come is expected")
    return moment


def _with_offset(value: object) -> datetime:
    try:
        moment = _MOMENT.validate_strings(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    # Strict JSON has no dates, so the text is converted here. A number is not accepted.
    if moment is None or moment.tzinfo is None or str(value).strip().lstrip("-").isdigit():
        raise ValueError("a date and time with an offset is expected, such as 2030-01-31T12:00:00Z")
    if not FIRST_MOMENT < moment < LAST_MOMENT:
        raise ValueError("a moment after 1970 is expected")
    return moment.astimezone(UTC)


_MOMENT: TypeAdapter[datetime] = TypeAdapter(datetime, config=ConfigDict(defer_build=True))


def _past(value: object) -> object:
    moment = None if value is None else _with_offset(value)
    # The clocks of two machines differ a little.
    if moment is not None and moment > utc_now() + timedelta(days=1):
        raise ValueError("a moment that is over is expected")
    return moment


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError("a UUID is expected") from None


def _metadata(values: dict[str, Any]) -> dict[str, Any]:
    _check_json(values, "", MAX_DEPTH)
    if len(json.dumps(values)) > MAX_METADATA_BYTES:
        raise ValueError(f"at most {MAX_METADATA_BYTES} bytes of JSON are expected")
    return values


def _check_json(value: object, path: str, depth: int) -> None:
    """Raise ValueError for a value that a store or an index cannot hold. The message names the path
    of the value below the field.
    """
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
    AfterValidator(_not_blank),
]
AgentId = Annotated[
    str,
    Field(min_length=1, max_length=MAX_USER_ID, description="An agent of the user."),
    AfterValidator(_not_blank),
]
RunId = Annotated[
    str,
    Field(min_length=1, max_length=MAX_USER_ID, description="A run, such as a conversation."),
    AfterValidator(_not_blank),
]
Content = Annotated[str, Field(min_length=1, max_length=MAX_CONTENT), AfterValidator(_not_blank)]
Kind = Annotated[str, Field(min_length=1, max_length=MAX_KIND), AfterValidator(_storable)]
Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG), AfterValidator(_storable)]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_once)]
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


MemoryId = Annotated[str, AfterValidator(_uuid)]
PastMoment = Annotated[datetime, BeforeValidator(_past)]
_FILTERS_SCHEMA = {
    "type": "object",
    "description": (
        'Conditions on fields, such as {"field": "metadata.team", "eq": "shop"}, with eq, ne, gt,'
        " lt, in or contains, joined by and, or, not. Fields: metadata.…, kind, tags, agent_id,"
        f" run_id, created_at, updated_at, expires_at. At most {MAX_CONDITIONS} conditions in"
        f" {MAX_LEVELS} levels. As a parameter of an address it is JSON."
    ),
    "examples": [{"and": [{"field": "metadata.team", "eq": "shop"}]}],
}
Filters = Annotated[Conditions, PlainValidator(parse), WithJsonSchema(_FILTERS_SCHEMA)]


class _LargeBody(Body):
    # Room for content in escapes, with six bytes for a character, and for metadata.
    max_bytes = 256 * 1024


class MemoryBody(_LargeBody):
    """The memory to store."""

    content: Content
    kind: Kind | None = None
    tags: Tags = []
    metadata: Metadata = {}
    expires_at: ExpiresAt | None = None


class MemoryPatch(PatchBody):
    """What to change in a memory."""

    max_bytes = _LargeBody.max_bytes

    content: Content = unchanged()
    kind: Kind | None = None
    tags: Tags | None = None
    metadata: Metadata | None = None
    expires_at: ExpiresAt | None = None

    def changes(self) -> dict[str, Any]:
        """Return the given fields with their new values; tags and metadata become empty."""
        empty: dict[str, Any] = {"tags": [], "metadata": {}}
        given = super().changes()
        return {name: empty.get(name) if value is None else value for name, value in given.items()}


class OfScope(BaseModel):
    """Whose memories: a user's, and only those of an agent and a run if they are given."""

    user_id: UserId
    agent_id: AgentId | None = None
    run_id: RunId | None = None

    @property
    def scope(self) -> Scope:
        """Whose memories."""
        return Scope(self.user_id, self.agent_id, self.run_id)


class NewMemory(MemoryBody, OfScope):
    """The memory to store, and whose it is."""


class ImportedMemory(NewMemory):
    """A line of an import: a memory with the id and the times that it had where it comes from."""

    id: MemoryId | None = None
    created_at: PastMoment | None = None
    updated_at: PastMoment | None = None


class MemoryBatch(Body):
    """The memories to store, each as for `POST /memories`."""

    # Each is checked for itself, so that a wrong one does not keep the others from being stored.
    memories: Annotated[list[Any], Field(min_length=1, max_length=MAX_BATCH)]
    max_bytes = 4 * 1024 * 1024


class MemorySearch(_LargeBody, OfScope):
    """The search for memories; a memory matches `tags` if it has one of them."""

    query: Content
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    min_score: (
        Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False, description="The lowest `score`.")]
        | None
    ) = None
    kind: Kind | None = None
    tags: Tags = []
    filters: Filters | None = None
    mode: Annotated[
        Literal["auto", "vector", "keyword"],
        Field(description="By meaning and keywords, by meaning only, or by keywords only."),
    ] = "auto"


class MemoryFilter(Filter):
    """The filter of a list of a user's memories."""

    kind: Kind | None = None
    q: (
        Annotated[str, Field(min_length=1, max_length=500, description="Part of the content.")]
        | None
    ) = None
    filters: Filters | None = None


EVERYTHING = MemoryFilter()
