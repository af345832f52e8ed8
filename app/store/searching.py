"""Searching for a part of a text in any case, on both databases alike.

SQLite knows the case of ASCII letters only. What has others is compared by a function of ours, some
five times as slow, and so only then; its loops are bounded as those of any filter (:mod:`.paging`).
"""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Boolean, ColumnElement, String, bindparam, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

_NAME = "contains_folded"


def contains(text: str, *columns: Any) -> ColumnElement[bool]:
    """Return the condition that one of some columns has a text in it, in any case.

    :param text: of :func:`app.protocol.lenient.search_text`.
    """
    if text.isascii():
        return or_(*(column.icontains(text, autoescape=True) for column in columns))
    part = bindparam(None, text, String())
    return or_(*(_ContainsFolded(column, part) for column in columns))


def add_functions(connection: sqlite3.Connection) -> None:
    """Teach a connection to SQLite what :func:`contains` asks of it."""
    connection.create_function(_NAME, 2, _contains_folded, deterministic=True)


class _ContainsFolded(FunctionElement[bool]):
    """Whether a column has a text in it, in any case."""

    type = Boolean()
    inherit_cache = True


@compiles(_ContainsFolded, "sqlite")
def _by_function(element: Any, compiler: Any, **options: Any) -> str:
    return f"{_NAME}({compiler.process(element.clauses, **options)})"


@compiles(_ContainsFolded)
def _by_lower(element: Any, compiler: Any, **options: Any) -> str:
    column, part = (compiler.process(clause, **options) for clause in element.clauses)
    return f"strpos(lower({column}), lower({part})) > 0"


def _contains_folded(text: str | None, part: str) -> bool | None:
    return None if text is None else part.casefold() in text.casefold()
