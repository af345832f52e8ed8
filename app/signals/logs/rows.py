"""From lines to rows, and back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from app.protocol.envelope import dump_json, load_json
from app.signals.logs.line import Line
from app.signals.logs.tables import log_lines
from app.store import DriverStatement

# A row without its texts, with its entries in the indexes and its part of a block.
ROW_BYTES = 250

_COLUMNS = (
    *("project_id", "at", "level", "release", "environment", "trace_id", "span_id"),
    *("body", "cut", "id", "size_bytes"),
)


def line_of(row: Row[Any]) -> Line:
    """Return the line of a row of ``log_lines``."""
    values = {name: getattr(row, name) for name in _COLUMNS}
    return Line(**values, attributes=attributes_of(row.attributes))


def attributes_of(text: str) -> dict[str, Any]:
    """Return attributes from their column."""
    return dict(load_json(text.encode())) if text != "{}" else {}


def insert_lines(conn: Connection, lines: list[Line]) -> None:
    """Store lines that have their ids, and note their sizes."""
    _INSERT.run(conn, [values_of(line) for line in lines])


def next_id(conn: Connection) -> int:
    """Return the row id for the next line."""
    return int(conn.scalar(select(func.max(log_lines.c.id))) or 0) + 1


def values_of(line: Line) -> dict[str, Any]:
    """Return the values of the row of a line, and note its size in the line."""
    attributes = dump_json(line.attributes).decode() if line.attributes else "{}"
    line.size_bytes = ROW_BYTES + len(line.body) + len(attributes)
    return {
        "id": line.id,
        "project_id": line.project_id,
        "at": line.at,
        "level": line.level,
        "release": line.release,
        "environment": line.environment,
        "trace_id": line.trace_id,
        "span_id": line.span_id,
        "body": line.body,
        "attributes": attributes,
        "cut": line.cut,
        "size_bytes": line.size_bytes,
        "is_ascii": _is_ascii(line, attributes),
    }


def _is_ascii(line: Line, attributes: str) -> bool:
    facts = f"{line.release}{line.environment}"
    return line.body.isascii() and attributes.isascii() and facts.isascii()


_INSERT = DriverStatement(lambda _: insert(log_lines))
