"""Rows of a table as lines of JSON, the same on both databases.

A line is an array with a value for each column. Bytes are base64, times are ISO 8601 in UTC, and
JSON is the text that the database has.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    cast,
    column,
    select,
    table,
)

from app.backup.errors import BackupError
from app.backup.manifest import Kind
from app.store import UtcDateTime

# Rows of one question to the database, where a row may have the body of an envelope, and elsewhere.
LARGE_ROWS, SMALL_ROWS = 50, 1000

Convert = Callable[[Any], Any]

_COMPACT = (",", ":")
_KINDS: tuple[tuple[type, Kind], ...] = (
    (UtcDateTime, "time"),
    (LargeBinary, "bytes"),
    (JSON, "json"),
    (Boolean, "bool"),
    (Float, "float"),
    (Integer, "int"),
    (Date, "date"),
    (String, "text"),
)
_TYPES: dict[Kind, Any] = {
    "time": UtcDateTime(),
    "bytes": LargeBinary(),
    "json": JSON(none_as_null=True),
    "bool": Boolean(),
    "float": Float(),
    "int": BigInteger(),
    "date": Date(),
    "text": Text(),
}


def kind_of(of: Column[Any]) -> Kind:
    """Return how the values of a column are written."""
    return next(kind for type_, kind in _KINDS if isinstance(of.type, type_))


def lines_of(conn: Connection, of: Table) -> Iterator[bytes]:
    """Yield a line for each row of a table."""
    kinds = [kind_of(one) for one in of.columns]
    writes = [_WRITES.get(kind) for kind in kinds]
    steps = [(place, write) for place, write in enumerate(writes) if write]
    query = select(
        *(
            cast(one, Text) if kind == "json" else one
            for one, kind in zip(of.columns, kinds, strict=True)
        )
    )
    at_once = LARGE_ROWS if "bytes" in kinds else SMALL_ROWS
    for row in conn.execution_options(yield_per=at_once).execute(query):
        values = list(row)
        for place, write in steps:
            if values[place] is not None:
                values[place] = write(values[place])
        yield json.dumps(values, ensure_ascii=False, separators=_COMPACT).encode() + b"\n"


def read_rows(name: str, lines: Iterable[bytes], kinds: Sequence[Kind]) -> Iterator[list[Any]]:
    """Yield the values of the lines of a table, as SQLAlchemy takes them.

    :raise BackupError: a line is not a row of these kinds.
    """
    for number, line in enumerate(lines, 1):
        try:
            yield _values_of(line, kinds)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise BackupError(f"row {number} of {name} is damaged: {error}") from None


def _values_of(line: bytes, kinds: Sequence[Kind]) -> list[Any]:
    values = json.loads(line)
    if not isinstance(values, list) or len(values) != len(kinds):
        raise ValueError(f"it does not have {len(kinds)} values")
    return [
        None if value is None else _READS[kind](value)
        for value, kind in zip(values, kinds, strict=True)
    ]


def insertion(name: str, columns: Sequence[tuple[str, Kind]]) -> Any:
    """Return the statement that inserts rows into a table of any revision."""
    return table(name, *(column(of, _TYPES[kind]) for of, kind in columns)).insert()


def _is_a(type_: type, *others: type) -> Convert:
    def same(value: Any) -> Any:
        if type(value) not in (type_, *others):
            raise TypeError(f"a value is not {type_.__name__}")
        return value

    return same


def _int(value: Any) -> int:
    number: int = _is_a(int)(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError("a number has more than 64 bits")
    return number


def _text(value: Any) -> str:
    found: str = _is_a(str)(value)
    if not found.isascii():
        found.encode()  # A lone surrogate is an error here, not in the middle of a restore.
    return found


def _time(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time has no zone")
    return moment.astimezone(UTC)


def _json(value: str) -> Any:
    # SQLAlchemy has a word of its own for JSON's null, because None is NULL.
    read = json.loads(value)
    return JSON.NULL if read is None else read


_WRITES: dict[Kind, Convert] = {
    "time": lambda moment: moment.astimezone(UTC).isoformat(),
    "date": date.isoformat,
    "bytes": lambda value: b64encode(value).decode(),
}
_READS: dict[Kind, Convert] = {
    "time": _time,
    "date": date.fromisoformat,
    "bytes": lambda value: b64decode(value, validate=True),
    "json": _json,
    "bool": _is_a(bool),
    "float": _is_a(float, int),
    "int": _int,
    "text": _text,
}
