"""The engines of a store, and what each connection to SQLite is set to."""

from __future__ import annotations

import functools
import sqlite3
import time
import weakref
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from app.store.searching import add_functions

# How often a waiting writer asks again. SQLite's own busy handler sleeps up to 100 ms between two
# tries, which starves a writer that may wait 200 ms; a refused BEGIN costs some 20 microseconds.
POLL_S = 0.002
# What of SQLite's write-ahead log stays on the disk when all of it is in the database.
WAL_KEPT_BYTES = 8 * 1024**2


def make_engines(url: URL) -> tuple[Engine, Engine, Engine]:
    """Return engines: of a reader, a writer, and a writer that does not wait for the disk."""
    if url.get_backend_name() == "sqlite":
        reader, writer = _sqlite_engine(url, "DEFERRED"), _sqlite_engine(url, "IMMEDIATE")
        return reader, writer, _sqlite_engine(url, "IMMEDIATE", synchronous="NORMAL")
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=10,
        pool_timeout=5,
        connect_args={"connect_timeout": 2, "application_name": "devenviro"},
    )
    # As on SQLite: what two statements of one read find belongs together.
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return reader, engine, engine


def _sqlite_engine(url: URL, mode: str, synchronous: str = "FULL") -> Engine:
    # A connection is opened by BEGIN or by a read; neither waits in the driver, write() polls.
    timeout = 1 if mode == "DEFERRED" else 0
    connect_args = {"timeout": timeout, "factory": _SqliteConnection}
    engine = create_engine(url, connect_args=connect_args)
    event.listen(engine, "connect", functools.partial(_prepare_sqlite, synchronous))
    event.listen(engine, "begin", lambda conn: conn.exec_driver_sql(f"BEGIN {mode}"))
    return engine


class _SqliteConnection(sqlite3.Connection):
    """A connection whose results end with their transaction.

    SQLite keeps the state that a result sees which was not read to its end, past ROLLBACK too: the
    next read of this connection would find the store as it was then. Reading on raises.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()

    def cursor(self, *args: Any, **options: Any) -> Any:
        """Open a cursor; those of :meth:`execute` come from here, too."""
        cursor = super().cursor(*args, **options)
        self._cursors.add(cursor)
        return cursor

    def rollback(self) -> None:
        """End the transaction; the pool does so, too, whenever a connection comes back to it."""
        for cursor in list(self._cursors):
            cursor.close()
        self._cursors.clear()
        super().rollback()


def _prepare_sqlite(synchronous: str, connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own BEGIN is deferred and comes late; ours comes from the "begin" event.
    connection.isolation_level = None
    # Only an empty store takes it. Of the default's 4 KiB an ordinary envelope, 2.6 KB, takes one
    # page for itself: 4.7 KB of disk an event. Three of them fit into this.
    connection.execute("PRAGMA page_size=8192")
    add_functions(connection)
    _enter_wal(connection)
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("PRAGMA foreign_keys=ON")
    # The log keeps the size it once had, unless it is cut when it begins anew.
    connection.execute(f"PRAGMA journal_size_limit={WAL_KEPT_BYTES}")


def _enter_wal(connection: sqlite3.Connection, timeout_s: float = 5.0) -> None:
    # The first change to WAL takes an exclusive lock that no busy handler waits for: eight workers
    # that start at once on an empty store would fail on it.
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # On a full disk waiting helps nobody: each connection would hold up its caller for 5 s.
            if not _is_held(error) or time.monotonic() >= deadline:
                raise
        time.sleep(POLL_S)


def _is_held(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_busy(error: DBAPIError) -> bool:
    """Return whether another writer holds the store."""
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return _is_held(original)
    return getattr(original, "sqlstate", None) == "55P03"  # lock_not_available
