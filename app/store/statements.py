"""INSERT on both databases, into tables where the row may be there already."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Insert, Select, Table, case, func, text
from sqlalchemy.dialects import postgresql, sqlite

# What a column gets, of the value in the row that is there and the new one. Other columns of either
# row are ``old.table.c`` and ``new.table.c``.
Rule = Callable[[Any, Any], Any]


def added(old: Any, new: Any) -> Any:
    """Add the new value."""
    return old + new


def replaced(old: Any, new: Any) -> Any:
    """Take the new value."""
    return new


# By CASE: the two databases name greatest and least differently.
def smaller(old: Any, new: Any) -> Any:
    """Keep the smaller value."""
    return case((new < old, new), else_=old)


def larger(old: Any, new: Any) -> Any:
    """Keep the larger value."""
    return case((new > old, new), else_=old)


def new_if_any(old: Any, new: Any) -> Any:
    """Take the new value unless it is NULL."""
    return func.coalesce(new, old)


def insert(conn: Connection, table: Any) -> Any:
    """Return the dialect's INSERT, the one that knows ``on_conflict_do_…``."""
    return insert_for(conn.dialect.name, table)


def insert_for(dialect: str, table: Any) -> Any:
    """Return the INSERT of a dialect by its name, for statements that are built once and kept."""
    module: Any = sqlite if dialect == "sqlite" else postgresql
    statement: Insert = module.insert(table)
    return statement


def inserted(conn: Connection, statement: Any) -> bool:
    """Execute an :func:`insert` unless its row is there already; return whether it was new.

    Told by RETURNING, since psycopg's row count is not there for every INSERT.
    """
    statement = statement.on_conflict_do_nothing().returning(text("1"))
    return conn.execute(statement).first() is not None


def upsert(
    on: Connection | str,
    table: Table,
    source: Mapping[str, Any] | Select[Any] | None = None,
    /,
    *,
    where: Rule | None = None,
    **rules: Rule,
) -> Any:
    """Return an INSERT that changes the row that has the same primary key.

    Without a source it is built once for these rules, which have to be functions of a module then:
    putting a statement together takes longer than executing it.

    :param on: a connection, or the name of a dialect.
    :param source: the values of one row; or a SELECT of all columns of the table, which needs a
        WHERE: without one SQLite takes ON CONFLICT for a part of it. By default rows are given as
        parameters.
    :param where: returns which rows are changed, of the columns of both; by default all are.
    :param rules: what columns of the row that is there get; without any it stays as it is.
    """
    dialect = on if isinstance(on, str) else on.dialect.name
    build = _built if source is None else _build
    return build(dialect, table, source, where, tuple(rules.items()))


def _build(
    dialect: str,
    table: Table,
    source: Mapping[str, Any] | Select[Any] | None,
    where: Rule | None,
    rules: tuple[tuple[str, Rule], ...],
) -> Any:
    statement = insert_for(dialect, table)
    if isinstance(source, Select):
        statement = statement.from_select(table.c.keys(), source)
    elif source is not None:
        statement = statement.values(source)
    if not rules:
        return statement.on_conflict_do_nothing()
    old, new = table.c, statement.excluded
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: rule(old[name], new[name]) for name, rule in rules},
        where=where and where(old, new),
    )


_built = functools.cache(_build)
