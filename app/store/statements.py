"""INSERT as both databases know it: of new rows, of rows that replace, of rows that add up."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Insert


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
    conn: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any], **new: Any
) -> None:
    """Give the row with this key these values; insert it, with those of ``new`` too, if need be."""
    statement = insert(conn, table).values({**new, **values, **key})
    conn.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(values)))


def add_rows(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *sums: str) -> None:
    """Insert rows; where there is one with the same primary key, add to these of its columns."""
    if rows:
        conn.execute(_addition(conn.dialect.name, table, sums), rows)


@functools.cache
def _addition(dialect: str, table: Table, sums: tuple[str, ...]) -> Any:
    # Built once: putting a statement together takes longer than executing it.
    statement = insert_for(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=[column.name for column in table.primary_key],
        set_={name: table.c[name] + statement.excluded[name] for name in sums},
    )
