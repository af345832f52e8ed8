"""Lines as the API has them, and their export, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.protocol.envelope import dump_json
from app.signals.logs.filtering import LogFilter
from app.signals.logs.line import Line
from app.store import Store

PAGE_SIZE = 1000
MAX_LINES = 100_000


def written_lines(store: Store, filter: LogFilter) -> Iterator[bytes]:
    """Return an iterator over the parts of an export: a JSON object a line, newest first.

    The first part is read at once, so that what is wrong is raised before anything is sent.

    :raise QueryError: the query is wrong. :raise StoreError: the store does not answer.
    """
    parts = _parts(store, filter)
    first = next(parts, b"")
    return _after(first, parts)


def shown(line: Line) -> dict[str, Any]:
    """Return a line as the API has it."""
    return {
        "timestamp": line.at.isoformat().replace("+00:00", "Z"),
        "level": line.level,
        "body": line.body,
        "attributes": line.attributes,
        "trace_id": line.trace_id,
        "span_id": line.span_id,
        "project_id": line.project_id,
        "release": line.release,
        "environment": line.environment,
        "cut": line.cut,
    }


def _after(first: bytes, parts: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from parts


def _parts(store: Store, filter: LogFilter) -> Iterator[bytes]:
    before, left = None, MAX_LINES
    while left > 0:
        with store.read() as conn:
            page = filter.page(conn, before=before, limit=min(PAGE_SIZE, left))
        yield b"".join(dump_json(shown(line)) + b"\n" for line in page.lines)
        left -= len(page.lines)
        before = page.next
        if before is None:
            return
