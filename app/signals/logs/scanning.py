"""Read the lines of one block: first the texts of those that may match, later whole rows.

A search reads some fifty blocks, so the driver executes these statements. The database looks
through texts that are ASCII, which takes a tenth of the time that reading them takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache, reduce
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    Connection,
    Text,
    bindparam,
    collate,
    func,
    or_,
    select,
    tuple_,
)

from app.signals.logs.blocks import KEY
from app.signals.logs.line import Key, Line
from app.signals.logs.rows import line_of
from app.signals.logs.tables import log_lines
from app.store import DriverStatement

COLUMNS = ("project_id", "level", "release", "environment", "trace_id")
MAX_NEEDLES = 3
_SEARCHED = [
    log_lines.c[name]
    for name in ("attributes", "body", "release", "environment", "trace_id", "level")
]
# All texts of a line as one.
_TEXT = reduce(
    lambda joined, column: joined.concat("\n").concat(func.coalesce(column, "")),
    _SEARCHED[1:],
    cast(Any, _SEARCHED[0]),
)


class Part(NamedTuple):
    """Which lines of a block are read.

    :param first: the key of the first one. :param end: the key before which they end, if they do.
    :param given: values of COLUMNS that they have.
    """

    first: Key
    end: Key | None
    since: datetime | None
    given: dict[str, Any]


def texts_of(conn: Connection, part: Part, needles: Iterable[str]) -> list[tuple[int, str]]:
    """Return the row ids of lines with all their texts, newest first.

    Lines without one of the needles may be left out.
    """
    values = {"first_at": part.first[0], "first_id": part.first[1], **part.given}
    if part.end is not None:
        values |= {"end_at": part.end[0], "end_id": part.end[1]}
    if part.since is not None:
        values["since"] = part.since
    # "_" and "%" in a needle stand for anything: then more lines are read, and none is missing.
    longest = sorted((needle for needle in needles if needle.isascii()), key=len)[-MAX_NEEDLES:]
    values |= {f"needle_{number}": f"%{needle}%" for number, needle in enumerate(longest)}
    return cast("list[tuple[int, str]]", _texts(tuple(values)).fetch(conn, values))


def lines_with(conn: Connection, ids: Iterable[int]) -> list[Line]:
    """Return lines by their row ids, newest first."""
    query = select(log_lines).where(log_lines.c.id.in_(ids))
    rows = conn.execute(query.order_by(*(column.desc() for column in KEY)))
    return [line_of(row) for row in rows]


@cache
def _texts(names: tuple[str, ...]) -> DriverStatement:
    return DriverStatement(lambda dialect: _query(dialect, names))


def _query(dialect: str, names: tuple[str, ...]) -> Any:
    at = log_lines.c.at
    # The bounds of the time are for PostgreSQL, see :func:`~app.signals.logs.blocks.key_is`.
    is_in = [at >= _time("first"), tuple_(*KEY) >= _bound("first")]
    if "end_at" in names:
        is_in += [at <= _time("end"), tuple_(*KEY) < _bound("end")]
    if "since" in names:
        is_in.append(log_lines.c.at >= bindparam("since", type_=log_lines.c.at.type))
    is_in += [
        log_lines.c[name] == bindparam(name, type_=log_lines.c[name].type)
        for name in COLUMNS
        if name in names
    ]
    is_in += [_may_have(dialect, name) for name in names if name.startswith("needle_")]
    query = select(log_lines.c.id, _TEXT.label("text")).where(*is_in)
    return query.order_by(*(column.desc() for column in KEY))


def _time(name: str) -> Any:
    return bindparam(f"{name}_at", type_=log_lines.c.at.type)


def _bound(name: str) -> Any:
    types = zip(("at", "id"), KEY, strict=True)
    return tuple_(*(bindparam(f"{name}_{part}", type_=column.type) for part, column in types))


def _may_have(dialect: str, needle: str) -> Any:
    # LIKE of SQLite does not tell upper from lower case. In the collation C, ILIKE of PostgreSQL
    # folds only ASCII, which is enough and takes a third less.
    like = "LIKE" if dialect == "sqlite" else "ILIKE"
    value = bindparam(needle, type_=Text())
    texts = _SEARCHED if dialect == "sqlite" else [collate(column, "C") for column in _SEARCHED]
    has = (text.op(like, is_comparison=True)(value) for text in texts)
    return or_(log_lines.c.is_ascii.is_(False), *has)
