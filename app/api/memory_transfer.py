"""Many memories at once: a batch, and export and import as NDJSON."""

from __future__ import annotations

from itertools import chain
from typing import IO, Any

from flask import Response, abort, request, stream_with_context

from app.api.memories import StoredMemory, Whose, stored_memory
from app.api.requests import Query, validated
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.memory import current_memories
from app.memory.errors import Refused
from app.memory.inputs import MemoryBatch, NewMemory, UserId
from app.memory.observed import operation
from app.memory.transfer import export_lines, import_lines, read_lines
from app.web import access
from app.web.current import current_store
from app.web.errors import FieldErrors

# A client may send 64 MiB at once in all.
MAX_IMPORT_BYTES = 32 * 1024 * 1024
TOO_LONG = f"at most {MAX_IMPORT_BYTES} bytes are expected: import it in parts"
route = Routes("memories")


class OfUser(Query):
    """The user that has the memories."""

    user_id: UserId


class BatchResult(ApiModel):
    """The answer to a memory of a batch, as `POST /memories` would answer it.

    `status` is 201 or 200 with the `memory`, or 409 or 422 with `detail` and `errors`.
    """

    index: int
    status: int
    memory: StoredMemory | None = None
    detail: str | None = None
    errors: list[dict[str, str]] = []


class BatchResults(ApiModel):
    """The answers to the memories of a batch, in their order."""

    results: list[BatchResult]


class ImportResult(ApiModel):
    """What became of the lines of an import.

    `updated` counts memories that were there already. `errors` names the first 100 of the `refused`
    lines, from 1 on.
    """

    stored: int
    updated: int
    refused: int
    errors: list[dict[str, Any]]


@route("POST /memories/batch", access.remembers)
def post_memories(body: MemoryBatch) -> BatchResults:
    """Store up to 100 memories, each as with `POST /memories`.

    Each has its own answer, in the order of the request: one that is refused does not keep the
    others from being stored.
    """
    return BatchResults(results=_store_batch(body.memories))


@route("GET /memories/export", access.remembers, media=access.NDJSON)
def export_memories(query: Whose) -> Response:
    """Return the memories of a user, or of an agent or run of the user, as NDJSON.

    Each line is a memory with its id and times, oldest first. Expired memories are left out.
    """
    with operation("export", query.user_id):
        # They are read and sent a part at a time.
        parts = export_lines(current_store(), query.scope)
        first = next(parts, b"")  # A store that does not answer must give a 503, not a broken file.
    response = Response(stream_with_context(chain([first], parts)), content_type=access.NDJSON)
    response.headers["Content-Disposition"] = 'attachment; filename="memories.ndjson"'
    return response


@route(
    "POST /memories/import",
    access.remembers,
    takes=access.NDJSON,
    max_bytes=MAX_IMPORT_BYTES,
)
def import_memories(query: OfUser) -> ImportResult:
    """Store the memories of an export, one from each line.

    A memory keeps its id and its times. Content that the user has already keeps its id there and
    gets the other fields. A line that is wrong is left out and named; the others are stored.

    :raise 413: the body is longer than 32 MiB: import it in parts.
    """
    if request.mimetype != access.NDJSON:
        abort(415, description=f"Content-Type: {access.NDJSON} is expected")
    if (request.content_length or 0) > MAX_IMPORT_BYTES:
        abort(413, description=TOO_LONG)
    lines = read_lines(_Bounded(request.stream))
    *_, imported = import_lines(current_memories(), lines, query.user_id)
    return ImportResult.of(imported)


def _store_batch(given: list[Any]) -> list[BatchResult]:
    """Store the valid memories of a batch, and return an answer for each."""
    results = [BatchResult(index=index, status=422) for index in range(len(given))]
    valid: dict[int, NewMemory] = {}
    for index, item in enumerate(given):
        try:
            valid[index] = validated(NewMemory, item)
        except FieldErrors as error:
            results[index].detail, results[index].errors = str(error), error.errors
    if not valid:
        return results
    outcomes = current_memories().add_all([(body.scope, body) for body in valid.values()])
    for index, outcome in zip(valid, outcomes, strict=True):
        result = results[index]
        if isinstance(outcome, Refused):
            result.status, result.detail = outcome.status, str(outcome)
        else:
            result.status, result.memory = 201 if outcome.is_new else 200, stored_memory(outcome)
    return results


class _Bounded:
    """The body of an import, which ends with 413 if it is too long."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._left = stream, MAX_IMPORT_BYTES

    def readline(self, size: int) -> bytes:
        """Return the rest of a line, at most ``size`` bytes.

        :raise 413: the body is too long.
        """
        line = self._stream.readline(size)
        self._left -= len(line)
        return line if self._left >= 0 else abort(413, description=TOO_LONG)
