"""INSERT on both databases, for tables where the row may exist already."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Insert, Select, Table, case, func, text

# Returns the new value of a column from the existing value and the inserted value. Other columns of
# the two rows are ``old.table.c`` and ``new.table.c``.
Rule = Callable[[Any, Any], Any]


def added(old: Any, new: Any) -> Any:
    """Add the new value to the old one."""
    return old + new


def replaced(old: Any, new: Any) -> Any:
    """Replace the old value with the new one."""
    return new


# These use CASE, because the two databases have different names for greatest and least.
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
    """Return the INSERT of the connection's dialect, which has ``on_conflict_do_…``."""
    return insert_for(conn.dialect.name, table)


def insert_for(dialect: str, table: Any) -> Any:
    """Return the INSERT of a dialect, by its name, for statements that are built once and kept."""
    statement: Insert = _module_of(dialect).insert(table)
    return statement


@functools.cache
def _module_of(dialect: str) -> Any:
    # Only the one that is used: PostgreSQL's takes 40 ms of CPU and brings asyncio with it.
    return import_module(f"sqlalchemy.dialects.{dialect}")


def inserted(conn: Connection, statement: Any) -> bool:
    """Execute an :func:`insert` unless its row exists. Return whether the row is new.

    RETURNING shows it, because psycopg has no row count for some INSERTs.
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
    """Return an INSERT that updates the row with the same primary key if there is one.

    Without a source, the statement is built once for these rules, because building it takes longer
    than executing it. The rules must then be functions of a module.

    :param on: a connection, or the name of a dialect.
    :param source: the values of one row, or a SELECT of all columns of the table. The SELECT needs
        a WHERE, because without one SQLite parses ON CONFLICT as a part of it. By default rows are
        passed as parameters.
    :param where: returns the condition for rows to update, given the columns of both rows. By
        default all are updated.
    :param rules: the new values of columns of an existing row. Without rules it stays unchanged.
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
