"""Databases of PostgreSQL for tests: each test gets one that is as new, and few are ever made.

To copy and drop a database takes from a third of a second to seconds, because PostgreSQL then
writes everything to the disk. To empty one takes milliseconds.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

from app.store import Store

SERVER_URL = os.environ.get("TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
# Dead rows would slow down later tests, and fill stores that have a bound. So what a database has
# grown by is given back first; if more than this is left, it is not used again.
MAX_GROWTH_BYTES = 1024**2
# All tables, columns and indexes. A test that changes them spoils the database for others.
SCHEMA = """
    SELECT string_agg(
        concat_ws(' ', c.relname, a.attname, a.atttypid, a.attnotnull), ','
        ORDER BY c.relname, a.attnum
    ),
    (SELECT string_agg(conname, ',' ORDER BY conname) FROM pg_constraint),
    (SELECT count(*) FROM pg_trigger)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped
"""
SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
SIZE = "SELECT pg_database_size(current_database())"
SIZES = """
    SELECT relname, pg_total_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


def error_of_server() -> str | None:
    """Return why PostgreSQL cannot be reached, ``None`` if it can."""
    try:
        psycopg.connect(SERVER_URL, connect_timeout=2).close()
    except psycopg.OperationalError as error:
        return str(error).splitlines()[0]
    return None


def administer(statement: str) -> None:
    """Execute a statement outside all databases of tests."""
    with psycopg.connect(SERVER_URL, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]  # our own text


def url_of(name: str) -> str:
    """Return the URL of a database for the store."""
    return _address(name).replace("postgresql:", "postgresql+psycopg:")


def create(name: str, template: str = "template1") -> str:
    """Create a database and return its name."""
    administer(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    # Tests end processes of the service, never the server, so nothing depends on its disk.
    administer(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    return name


def drop(name: str) -> None:
    """Remove a database, whoever is connected to it."""
    administer(f'DROP DATABASE "{name}" WITH (FORCE)')


def _address(name: str) -> str:
    return f"{SERVER_URL.rpartition('/')[0]}/{name}"


class Databases:
    """Databases with the newest schema. The next one is prepared while a test runs."""

    def __init__(self) -> None:
        self._template = create(_new_name())
        store = Store(url_of(self._template))
        store.migrate()
        store.dispose()
        with psycopg.connect(_address(self._template)) as connection:
            self._original = _Original(connection)
        self._clean: list[str] = []
        self._preparing = ThreadPoolExecutor(1)
        self._next = self._preparing.submit(self._prepare)

    def take(self) -> str:
        """Return the name of a database that is as new."""
        name = self._next.result()
        self._next = self._preparing.submit(self._prepare)
        return name

    def give_back(self, name: str) -> None:
        """Empty a database in the background."""
        self._preparing.submit(self._clean_up, name)

    def close(self) -> None:
        """Remove all databases."""
        self._clean.append(self._next.result())
        self._preparing.shutdown()
        for name in [*self._clean, self._template]:
            drop(name)

    def _prepare(self) -> str:
        return self._clean.pop() if self._clean else create(_new_name(), self._template)

    def _clean_up(self, name: str) -> None:
        try:
            # Whatever the test left behind, such as a thread, knows only the old name.
            renamed = _retried(_rename, name)
            with psycopg.connect(_address(renamed)) as connection:
                is_clean = self._original.restore(connection)
        except psycopg.Error:
            renamed, is_clean = name, False
        if is_clean:
            self._clean.append(renamed)
        else:
            with suppress(psycopg.Error):
                drop(renamed)


class _Original:
    """What a database held before any test."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._schema = connection.execute(SCHEMA).fetchone()
        self._size = _number(connection, SIZE)
        self._sizes = _sizes(connection)
        # All in one statement: one for each took a third of the time.
        self._set_sequences = "SELECT " + ", ".join(
            f"setval('\"{name}\"', {value or 1}, {value is not None})"
            for name, value in connection.execute(SEQUENCES)
        )
        self._tables = [name for (name,) in connection.execute(TABLES)]
        self._rows = {name: _rows_of(connection, name) for name in self._tables}

    def restore(self, connection: psycopg.Connection[Any]) -> bool:
        """Bring back all rows. Return whether the database is as it was."""
        if connection.execute(SCHEMA).fetchone() != self._schema:
            return False
        connection.execute("SET session_replication_role = replica")  # no foreign keys
        connection.execute("; ".join(f'DELETE FROM "{name}"' for name in self._tables))
        for name, rows in self._rows.items():
            if rows:
                copy = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))
                with connection.cursor().copy(copy) as into:
                    into.write(rows)
        connection.execute(self._set_sequences)  # type: ignore[arg-type]  # our own text
        connection.commit()
        if self._grown(connection) > MAX_GROWTH_BYTES:
            self._give_back_space(connection)
        return self._grown(connection) <= MAX_GROWTH_BYTES

    def _grown(self, connection: psycopg.Connection[Any]) -> int:
        return _number(connection, SIZE) - self._size

    def _give_back_space(self, connection: psycopg.Connection[Any]) -> None:
        grown = [name for name, size in _sizes(connection).items() if size > self._sizes[name]]
        connection.commit()
        connection.autocommit = True
        for name in grown:
            connection.execute(f'VACUUM FULL "{name}"')  # type: ignore[arg-type]  # our own text


def _rows_of(connection: psycopg.Connection[Any], table: str) -> bytes:
    copy = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))
    with connection.cursor().copy(copy) as out:
        return b"".join(bytes(part) for part in out)


def _sizes(connection: psycopg.Connection[Any]) -> dict[str, int]:
    return {str(name): int(size) for name, size in connection.execute(SIZES)}


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query).fetchone()  # type: ignore[arg-type]  # our own text
    return int(row[0]) if row else 0


def _new_name() -> str:
    return f"devenviro_{uuid.uuid4().hex[:20]}"


def _rename(name: str) -> str:
    renamed = _new_name()
    with psycopg.connect(SERVER_URL, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        connection.execute(f'ALTER DATABASE "{name}" RENAME TO "{renamed}"')  # type: ignore[arg-type]
    return renamed


def _retried(function: Callable[[str], str], name: str) -> str:
    """Call a function again while a connection of the test is still being closed."""
    for _ in range(20):
        with suppress(psycopg.errors.ObjectInUse):
            return function(name)
    return function(name)
