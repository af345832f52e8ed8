"""The fields of a memory as a program gives them: what each may be, checked once."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter

from app.memory.content import MAX_CONTENT, MAX_KIND, MAX_TAG, MAX_TAGS, MAX_USER_ID
from app.store import utc_now

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
