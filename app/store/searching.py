"""Case-insensitive search for a part of a text, with the same result on both databases.

SQLite knows the case of ASCII letters only. A text with other letters is compared by a Python
function. This is about five times as slow, so it is used only then. The number of compared rows is
bounded as for any filter (:mod:`.paging`).
"""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Boolean, ColumnElement, String, bindparam, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

_NAME = "contains_folded"


def contains(text: str, *columns: Any) -> ColumnElement[bool]:
    """Return the condition that one of some columns contains a text, in any case.

    :param text: from :func:`app.protocol.lenient.search_text`.
    """
    if text.isascii():
        return or_(*(column.icontains(text, autoescape=True) for column in columns))
    part = bindparam(None, text, String())
    return or_(*(_ContainsFolded(column, part) for column in columns))


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the SQL function that :func:`contains` needs to a SQLite connection."""
    connection.create_function(_NAME, 2, _contains_folded, deterministic=True)


class _ContainsFolded(FunctionElement[bool]):
    """The condition that a column contains a text, in any case."""

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
