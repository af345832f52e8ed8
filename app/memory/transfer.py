"""Export and import of memories as NDJSON: each line is the JSON object of a memory, oldest first.

Both read and write a part at a time, so they take the same memory for any number of memories.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from app.memory import queries, records
from app.memory.errors import Refused
from app.memory.inputs import ImportedMemory
from app.memory.scope import Scope
from app.store import Store

if TYPE_CHECKING:
    from app.memory.service import Memories

PAGE_SIZE = 500
# Lines that one transaction stores, and one call of the embedder.
BATCH_SIZE = 100
# The size of a memory with all limits used up, in escapes.
MAX_LINE_BYTES = 256 * 1024
# The errors of an import that are said; all are counted.
MAX_ERRORS = 100
_FIELDS = (
    *("id", "user_id", "agent_id", "run_id", "content", "kind", "tags", "metadata"),
    *("created_at", "updated_at", "expires_at"),
)


class Readable(Protocol):
    """A file or a body."""

    def readline(self, size: int, /) -> bytes:
        """Return the rest of a line, at most ``size`` bytes."""


@dataclass
class Imported:
    """What became of the lines of an import.

    :param stored: how many new memories were stored.
    :param updated: how many were there already; they have the fields of the import now.
    :param refused: how many lines were wrong, or not stored.
    :param errors: of the first wrong lines: ``line``, from 1 on, ``field`` and ``message``.
    """

    stored: int = 0
    updated: int = 0
    refused: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, line: int, field: str, message: str) -> None:
        """Count a line that is not stored."""
        self.refused += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append({"line": line, "field": field, "message": message})


def export_lines(store: Store, scope: Scope | None = None) -> Iterator[bytes]:
    """Yield the lines of an export, some at a time, without expired memories.

    :param scope: whose memories; ``None`` for those of all users.
    """
    after = 0
    while True:
        with store.read() as conn:
            rows = queries.list_oldest(conn, scope, after=after, limit=PAGE_SIZE)
        if not rows:
            return
        yield b"".join(_line(row) for row in rows)
        after = rows[-1].seq


def read_lines(stream: Readable) -> Iterator[bytes]:
    """Yield the lines of a file or a body. A line that is too long is cut."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES + 1)


def import_lines(
    memories: Memories, lines: Iterable[bytes], user_id: str | None = None
) -> Iterator[Imported]:
    """Store the memories of an export. Yield the state of the import after each part.

    A memory keeps its id and times, unless its content is there already. A line that is wrong is
    left out; the others are stored.

    :param lines: those of :func:`read_lines`.
    :param user_id: whose memories may be imported; ``None`` for any user's.
    """
    done = Imported()
    batch: list[tuple[int, ImportedMemory]] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            memory = _read(done, number, line, user_id)
            batch += [(number, memory)] if memory else []
        if len(batch) == BATCH_SIZE:
            _store(memories, done, batch)
            batch = []
            yield done
    if batch:
        _store(memories, done, batch)
    yield done


def _line(row: Any) -> bytes:
    values = {name: getattr(row, name) for name in _FIELDS}
    return json.dumps(values, ensure_ascii=False, default=_time).encode() + b"\n"


def _time(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _read(done: Imported, number: int, line: bytes, user_id: str | None) -> ImportedMemory | None:
    if len(line) > MAX_LINE_BYTES:
        done.refuse(number, "line", f"at most {MAX_LINE_BYTES} bytes are expected")
        return None
    try:
        memory = ImportedMemory.model_validate(json.loads(line))
    except ValidationError as error:
        detail = error.errors(include_input=False, include_url=False, include_context=False)[0]
        done.refuse(number, ".".join(map(str, detail["loc"])) or "line", detail["msg"])
        return None
    except (ValueError, RecursionError):
        done.refuse(number, "line", "the line is no JSON")
        return None
    if user_id is not None and memory.user_id != user_id:
        done.refuse(number, "user_id", "the memory is of another user than the request names")
        return None
    return memory


def _store(memories: Memories, done: Imported, batch: list[tuple[int, ImportedMemory]]) -> None:
    items = [(memory.scope, memory) for _, memory in batch]
    origins = [
        records.Origin(memory.id, memory.created_at, memory.updated_at) for _, memory in batch
    ]
    for (number, _), kept in zip(batch, memories.import_all(items, origins), strict=True):
        if isinstance(kept, Refused):
            done.refuse(number, "line", str(kept))
        elif kept.is_new:
            done.stored += 1
        else:
            done.updated += 1
