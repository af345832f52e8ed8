"""The engines of a store, and the settings of each SQLite connection."""

from __future__ import annotations

import functools
import sqlite3
import time
import weakref
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from app.store.driver import execute_text
from app.store.searching import add_functions

# How often a waiting writer tries again. SQLite's own busy handler sleeps up to 100 ms between two
# tries, too long for a writer that may wait 200 ms. A refused BEGIN costs about 20 microseconds.
POLL_S = 0.002
# The size that SQLite's write-ahead log keeps on the disk after its content is in the database.
WAL_KEPT_BYTES = 8 * 1024**2


def make_engines(url: URL) -> tuple[Engine, Engine, Engine]:
    """Return three engines: a reader, a writer, and a writer that does not wait for the disk."""
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
    # As on SQLite, all statements of one read see the same snapshot.
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return reader, engine, engine


def _sqlite_engine(url: URL, mode: str, synchronous: str = "FULL") -> Engine:
    # BEGIN or a read opens a connection. Neither waits in the driver, because write() polls.
    timeout = 1 if mode == "DEFERRED" else 0
    connect_args = {"timeout": timeout, "factory": _SqliteConnection}
    engine = create_engine(url, connect_args=connect_args, poolclass=_ClosingPool)
    event.listen(engine, "connect", functools.partial(_prepare_sqlite, synchronous))
    event.listen(engine, "begin", lambda conn: execute_text(conn, f"BEGIN {mode}"))
    return engine


class _ClosingPool(QueuePool):
    """A pool that also closes the connections which return to it after it was disposed of.

    Otherwise they stay open until the garbage collector finds them. All connections of a process
    share SQLite's index of the log. If one of them could only read it, new ones cannot write.
    """

    # SQLAlchemy names the logger of a pool after its module. Below `app`, details would be logged.
    _sqla_logger_namespace = "sqlalchemy.pool"
    _is_disposed = False

    def dispose(self) -> None:
        """Close the idle connections now, the others when they return."""
        self._is_disposed = True
        super().dispose()

    def _do_return_conn(self, record: Any) -> None:
        super()._do_return_conn(record)
        if self._is_disposed:
            super().dispose()


class _SqliteConnection(sqlite3.Connection):
    """A connection whose results end with their transaction.

    While a result is not read to its end, SQLite keeps the snapshot that it sees, even after
    ROLLBACK. The next read of this connection would see that old snapshot. So the end of the
    transaction closes all results, and reading one after it raises.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()

    def cursor(self, *args: Any, **options: Any) -> Any:
        """Open a cursor. :meth:`execute` gets its cursors from here, too."""
        cursor = super().cursor(*args, **options)
        self._cursors.add(cursor)
        return cursor

    def rollback(self) -> None:
        """End the transaction. The pool also calls this when a connection returns to it."""
        if self._cursors:  # To go through an empty set of weak references takes 5 us.
            for cursor in list(self._cursors):
                cursor.close()
            self._cursors.clear()
        super().rollback()


def _prepare_sqlite(synchronous: str, connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own BEGIN is deferred and comes late. Ours comes from the "begin" event.
    connection.isolation_level = None
    # Only an empty store accepts a page size. With the default of 4 KiB, an ordinary envelope of
    # 2.6 KB takes a page of its own: 4.7 KB of disk for each event. Three envelopes fit into 8 KiB.
    connection.execute("PRAGMA page_size=8192")
    add_functions(connection)
    _enter_wal(connection)
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("PRAGMA foreign_keys=ON")
    # The log keeps its largest size unless it is truncated when it restarts.
    connection.execute(f"PRAGMA journal_size_limit={WAL_KEPT_BYTES}")


def _enter_wal(connection: sqlite3.Connection, timeout_s: float = 5.0) -> None:
    # The first change to WAL takes an exclusive lock, and no busy handler waits for it. Without
    # this loop, eight workers that start at once on an empty store would fail.
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # On a full disk waiting does not help. Each connection would delay its caller for 5 s.
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
