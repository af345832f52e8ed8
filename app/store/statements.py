"""INSERT as both databases know it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text
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
