"""The store: one database, read in deferred transactions and written in immediate ones.

    read()   a deferred transaction that sees one snapshot of the store, rolled back at the end;
             close it before rendering
    write()  one writer at a time, waiting at most ``timeout_s``; commits at the end

On SQLite, ``BEGIN IMMEDIATE`` ensures that there is one writer. Processes queue for it, see
:mod:`app.store.writer_lock`. On PostgreSQL, an advisory lock ensures it, held to the end of the
transaction. This one rule has two effects on both databases. What a transaction checks stays true
until it commits. Two batches never deadlock over the rows of two issues.

Commits reach the disk before they return (WAL with ``synchronous=FULL``; PostgreSQL's default).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from app.store.columns import utc_now
from app.store.driver import DriverStatement, Rows, execute_text
from app.store.engines import POLL_S, is_busy, make_engines
from app.store.errors import StoreBusy, StoreUnavailable
from app.store.integrity import check_file, damaged_files
from app.store.kept_keys import copy_of, newest_damaged, salvage, take_over, write_copy
from app.store.migrations import newest_revision, revision_of, upgrade
from app.store.statements import replaced, upsert
from app.store.tables import facts
from app.store.writer_lock import WriterLock

log = logging.getLogger("app.tracker")

# The name of the fact that not all keys of a damaged store could be read.
KEYS_LOST = "keys_lost"
# Any number that no other program in the same database uses for an advisory lock.
ADVISORY_LOCK = 0x0DE7E4B1

# How many bytes :meth:`Store.probe` writes.
PROBE_BYTES = 64 * 1024


class Store:
    """One database. Each process creates the engines on first use, so never before a fork.

    :param url: SQLAlchemy URL, ``sqlite:///path`` or ``postgresql+psycopg://…``.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engines: tuple[Engine, Engine, Engine] | None = None
        self._pid = 0
        self._guard: IO[bytes] | None = None
        self._lock = threading.Lock()
        # Writers of one process wait for this lock, instead of polling against each other.
        self._writers = threading.Lock()
        self._writing_thread: int | None = None
        # Whether a write of this process failed, and :meth:`probe` has not succeeded since.
        self.write_failed = False
        # The processes of this machine wait for this lock. PostgreSQL has its own queue.
        self._writer_lock = (
            WriterLock(Path(f"{self.url.database}.turn")) if self.is_sqlite else None
        )

    # ---- transactions ---------------------------------------------------------------------------

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection in a read transaction. Its end closes every result of the connection.

        :raise StoreUnavailable: the database does not answer.
        """
        with self._translated(), self._reader().connect() as conn:
            yield conn

    def ask(self, statement: DriverStatement, values: Mapping[str, Any]) -> Rows:
        """Return what one statement reads, in a third of the time that :meth:`read` adds to it.

        :raise StoreUnavailable: the database does not answer.
        """
        with self._translated():
            return statement.fetch_alone(self._reader(), values)

    @contextmanager
    def write(
        self, timeout_s: float = 5.0, *, foreign_keys: bool = True, durable: bool = True
    ) -> Iterator[Connection]:
        """Yield a connection as the only writer. Commit at the end, roll back on an exception.

        :param timeout_s: seconds to wait for other writers, in total.
        :param foreign_keys: ``False`` for migrations that rebuild a table. Otherwise its child rows
            would be deleted by a cascade.
        :param durable: whether to wait for the disk. With ``False``, a power cut (but no crash of a
            process) may undo the newest of these commits, but no commit that a caller waited for.
        :raise StoreBusy: another writer held the store for that long.
        :raise StoreUnavailable: the database does not answer, or cannot write.
        """
        deadline = time.monotonic() + timeout_s
        if not self._writers.acquire(timeout=timeout_s):
            raise StoreBusy("the store is busy: another writer of this process holds it")
        self._writing_thread = threading.get_ident()
        try:
            with (
                self._writing(deadline),
                self._translated(),
                self._writer(durable).connect() as conn,
            ):
                if not foreign_keys:
                    self._without_foreign_keys(conn)
                self._begin(conn, deadline, durable)
                yield conn
                conn.commit()
        except StoreUnavailable:
            self.write_failed = True
            raise
        finally:
            self._writing_thread = None
            self._writers.release()

    @property
    def is_held_here(self) -> bool:
        """Whether this thread is the writer. Then waiting for the store is useless."""
        return self._writing_thread == threading.get_ident()

    @contextmanager
    def _writing(self, deadline: float) -> Iterator[None]:
        if self._writer_lock is None:
            yield
            return
        with self._writer_lock.mine(deadline) as is_mine:
            if not is_mine:
                raise StoreBusy("the store is busy: another process holds it")
            yield

    def _without_foreign_keys(self, conn: Connection) -> None:
        if self.is_sqlite:
            # The pragma has no effect in a transaction: run it before BEGIN, bypassing SQLAlchemy.
            driver: Any = conn.connection.driver_connection
            driver.execute("PRAGMA foreign_keys=OFF")
            conn.detach()  # Do not return it to the pool: the next writer needs foreign keys.

    def _begin(self, conn: Connection, deadline: float, durable: bool) -> None:
        if not self.is_sqlite:
            milliseconds = max(1, int((deadline - time.monotonic()) * 1000))
            steps = [
                *([] if durable else ["SET LOCAL synchronous_commit = off"]),
                f"SET LOCAL lock_timeout = {milliseconds}",
                f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})",
            ]
            conn.begin()
            execute_text(conn, "; ".join(steps))  # One round trip.
            return
        while True:
            try:
                conn.begin()
                return
            except DBAPIError as error:
                if not is_busy(error) or time.monotonic() >= deadline:
                    raise
            conn.rollback()
            time.sleep(POLL_S)

    # ---- schema ---------------------------------------------------------------------------------

    def open(self, timeout_s: float = 60.0) -> None:
        """Make the store usable: check a SQLite file that no process uses yet, then migrate.

        A damaged file is moved aside, never deleted. A new store replaces it, with the projects,
        keys, users, tokens and channels that could be read (:mod:`app.store.kept_keys`).

        :param timeout_s: seconds to wait for other writers.
        :raise StoreError: the store cannot be opened or written.
        """
        if self.is_sqlite:
            self._create_file()
            if self._guard is None:
                self._guard = check_file(Path(str(self.url.database)), self._rebuild)
        self.migrate(timeout_s)
        self.keep_keys()

    def _rebuild(self, path: Path) -> None:
        """Replace a damaged store with a new one, completely or not at all."""
        files = [file for file in damaged_files(path) if file.stat().st_size]
        damaged = newest_damaged({file: file.stat().st_mtime for file in files}, copy_of(path))
        kept = salvage(damaged, copy_of(path))
        new = Path(f"{path}.new")
        for suffix in ("", "-wal", "-shm", ".turn"):
            Path(f"{new}{suffix}").unlink(missing_ok=True)
        fresh = Store(self.url.set(database=str(new)).render_as_string(hide_password=False))
        fresh._create_file()
        fresh.migrate()
        with fresh.write(foreign_keys=False) as conn:
            driver: Any = conn.connection.dbapi_connection
            count = take_over(driver, kept)
            if not kept.has_all_keys:
                note = {"name": KEYS_LOST, "value": damaged.name if damaged else ""}
                conn.execute(facts.insert().values(note))
        fresh.dispose()  # Closing the last connection moves the write-ahead log into the file.
        new.replace(path)
        Path(f"{new}.turn").unlink(missing_ok=True)
        log.warning("%s rows of projects, keys, users and channels were taken over", count)

    def keep_keys(self) -> None:
        """Write the copy of projects, keys, users, tokens and channels if they have changed.

        :raise StoreUnavailable: the store does not answer.
        """
        if not self.is_sqlite:
            return
        with self.read() as conn:
            driver: Any = conn.connection.driver_connection
            try:
                write_copy(driver, Path(str(self.url.database)))
            except OSError as error:
                log.warning("the copy of the keys cannot be written: %s", error.strerror)

    def has_lost_keys(self) -> bool:
        """Return whether keys of a damaged store may be missing; see :meth:`accept_loss`."""
        if not self.is_sqlite:
            return False
        with self.read() as conn:
            return conn.execute(select(1).where(facts.c.name == KEYS_LOST)).first() is not None

    def accept_loss(self) -> bool:
        """Treat missing keys as unknown from now on. Return whether any were missing."""
        with self.write() as conn:
            return conn.execute(delete(facts).where(facts.c.name == KEYS_LOST)).rowcount > 0

    def migrate(self, timeout_s: float = 60.0) -> None:
        """Migrate the schema to the newest revision. One process migrates, the others wait.

        :param timeout_s: seconds to wait for other writers.
        :raise StoreError: the store cannot be opened or written.
        """
        if self.schema_revision() == newest_revision():
            return
        with self.write(timeout_s, foreign_keys=False) as conn:
            upgrade(conn)

    def schema_revision(self) -> str | None:
        """Return the revision of the database, ``None`` for an empty one."""
        with self.read() as conn:
            return revision_of(conn)

    def instance_id(self) -> str:
        """Return the permanent id of this store, 32 hex digits. It is created with the store."""
        with self.read() as conn:
            query = select(facts.c.value).where(facts.c.name == "instance_id")
            return str(conn.execute(query).scalar_one())

    def check(self) -> None:
        """Check that the store answers and has the newest schema.

        :raise StoreError: it does not.
        """
        if self.schema_revision() != newest_revision():
            raise StoreUnavailable("the schema is not the newest: run `flask db upgrade`")

    def probe(self, timeout_s: float = 0.5) -> None:
        """Write and sync as many bytes as a few envelopes take, to detect a full disk.

        Fewer bytes would fit into space that SQLite's log has allocated already.

        :param timeout_s: seconds to wait for other writers.
        :raise StoreError: the write failed, or another writer held the store for that long.
        """
        with self.write(timeout_s) as conn:
            row = {"name": "write_probe", "value": utc_now().isoformat().ljust(PROBE_BYTES, ".")}
            conn.execute(upsert(conn, facts, row, value=replaced))
        self.write_failed = False

    def damaged_files(self) -> list[Path]:
        """Return the damaged files that were moved aside, so that a person can look at them."""
        return damaged_files(Path(str(self.url.database))) if self.is_sqlite else []

    @contextmanager
    def sqlite_alone(self, timeout_s: float) -> Iterator[Any]:
        """Yield a connection of SQLite's driver while nobody else writes, outside a transaction.

        :param timeout_s: seconds to wait for other writers.
        :raise StoreError: another writer held the store for that long, or a statement failed.
        """
        if not self._writers.acquire(timeout=timeout_s):
            raise StoreBusy("the store is busy: another writer of this process holds it")
        try:
            with self._writing(time.monotonic() + timeout_s), self._translated():
                connection = self._writer(True).raw_connection()
                try:
                    yield connection.driver_connection
                finally:
                    connection.close()
        except sqlite3.Error as error:  # Of the driver, which SQLAlchemy does not translate.
            raise StoreUnavailable(f"the store failed: {error}") from error
        finally:
            self._writers.release()

    def maintain(self, statement: str) -> None:
        """Execute a statement that cannot run in a transaction, such as ``VACUUM``.

        :raise StoreError: it failed.
        """
        with self._translated():
            engine = self._writer(True)
            if self.is_sqlite:
                # Bypass SQLAlchemy, whose connections begin a transaction automatically.
                with engine.connect() as conn:
                    driver: Any = conn.connection.driver_connection
                    try:
                        driver.execute(statement).fetchall()
                    except sqlite3.Error as error:
                        raise StoreUnavailable(f"the store failed: {error}") from error
                return
            with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as conn:
                conn.exec_driver_sql(statement)

    def dispose(self) -> None:
        """Close this process's connections."""
        with self._lock:
            for engine in self._engines or ():
                engine.dispose(close=self._pid == os.getpid())
            self._engines = None
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        if self._writer_lock is not None:
            self._writer_lock.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Translate errors of the driver to this module's. Faults of a statement stay unchanged."""
        try:
            yield
        except (IntegrityError, DataError):
            raise
        except DBAPIError as error:
            if is_busy(error):
                raise StoreBusy("the store is busy: another writer holds it") from error
            self._forget_connections()
            what = f"{type(error.orig).__name__}: {error.orig}"
            raise StoreUnavailable(f"the store failed: {what}") from error
        except SQLAlchemyError as error:
            raise StoreUnavailable(f"the store failed: {type(error).__name__}") from error

    def _forget_connections(self) -> None:
        # A connection keeps a problem after its cause has ended. If SQLite may not write a file, it
        # opens the file read-only. The connection stays read-only when the file is writable again.
        for engine in set(self._engines or ()):
            engine.dispose()

    # ---- engines --------------------------------------------------------------------------------

    def _reader(self) -> Engine:
        return self._all()[0]

    def _writer(self, durable: bool) -> Engine:
        return self._all()[1 if durable else 2]

    def _all(self) -> tuple[Engine, Engine, Engine]:
        if self._engines is None or self._pid != os.getpid():
            with self._lock:
                if self._engines is None or self._pid != os.getpid():
                    self._engines, self._pid = make_engines(self.url), os.getpid()
        return self._engines

    def _create_file(self) -> None:
        path = Path(str(self.url.database))
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreUnavailable(f"cannot open the store: {error.strerror}") from error
