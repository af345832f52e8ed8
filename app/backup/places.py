"""The places that a store is restored to: empty before, and seen only when the store is whole.

    SQLite       a file of another name beside the store, renamed at the end
    PostgreSQL   one transaction, committed at the end

So a process that is killed leaves nothing that looks like a store.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, column, func, inspect, select, table, text
from sqlalchemy.exc import IntegrityError

from app.backup.errors import BackupError
from app.intake.emergency import sync_folder
from app.store import Store
from app.store.integrity import RESTORING, lock_of

SIDES = ("", "-wal", "-shm", "-journal", ".turn")
# What a store takes on the disk, as a multiple of its lines in a backup: 0.98 to 1.0 for the events
# of `flask demo`. A store of many small rows takes more, and finds out when the disk is full.
GROWTH = 1.1


class Place(ABC):
    """A place for a new store.

    :param store: the store that will be there.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @abstractmethod
    def check_empty(self) -> None:
        """Check that there is no store.

        :raise BackupError: there is one, or a part of one.
        """

    @abstractmethod
    def check_room(self, unpacked_bytes: int) -> None:
        """Check that rows of this size have room.

        :raise BackupError: they do not.
        """

    @abstractmethod
    def filled(self) -> AbstractContextManager[None]:
        """Return a context: its end makes the store visible, an exception leaves nothing."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """Return a transaction on the new store, inside :meth:`filled`."""

    @abstractmethod
    def drop_foreign_keys(self, conn: Connection) -> None:
        """Let rows come in any order."""

    @abstractmethod
    def check_foreign_keys(self, conn: Connection) -> None:
        """Check that no row refers to a missing one.

        :raise BackupError: one does.
        """

    @abstractmethod
    def set_last_ids(self, conn: Connection, last_ids: dict[str, int]) -> None:
        """Let new rows have higher ids than those that were given before."""


class SqlitePlace(Place):
    """A file of another name beside the store."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._path = Path(str(store.url.database))
        self._new = Path(f"{self._path}{RESTORING}")
        url = store.url.set(database=str(self._new))
        self._staged = Store(url.render_as_string(hide_password=False))

    def check_empty(self) -> None:
        """Check that there is no file, or one without a table."""
        path = self._path
        if not path.exists():
            path = Path(f"{path}-wal")  # It has the newest commits of a file that is gone.
        if path.exists() and path.stat().st_size and not _is_without_tables(path):
            found = path.stat()
            changed = datetime.fromtimestamp(found.st_mtime, UTC)
            raise BackupError(
                f"the place is not empty: {path} has {found.st_size:,} bytes, changed last "
                f"{changed:%Y-%m-%d %H:%M} UTC. Move it away, or set another DATA_DIR"
            )

    def check_room(self, unpacked_bytes: int) -> None:
        """Check the free space of the disk."""
        folder = next(path for path in self._path.parents if path.exists())
        free, needed = shutil.disk_usage(folder).free, GROWTH * unpacked_bytes
        if free < needed:
            raise BackupError(
                f"{folder} has {free / 1e6:,.0f} MB free, the store needs about "
                f"{needed / 1e6:,.0f} MB"
            )

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Keep processes of the service out, and rename the file at the end."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with lock_of(self._path) as guard:
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupError("the service is running here: stop it first") from None
            self._remove()
            os.close(os.open(self._new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            try:
                # The pool keeps this connection. Without it, each transaction would end with the
                # removal of the write-ahead log.
                self._staged.schema_revision()
                yield
                self._publish()
            finally:
                self._staged.dispose()
                self._remove()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin a transaction of its own, so that the write-ahead log stays small."""
        with self._staged.write(foreign_keys=False, durable=False) as conn:
            yield conn

    def drop_foreign_keys(self, conn: Connection) -> None:
        """Do nothing: the connections do not check them."""

    def check_foreign_keys(self, conn: Connection) -> None:
        """Check them all."""
        if row := conn.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise BackupError(f"a row of {row[0]} refers to a row of {row[2]} that is missing")

    def set_last_ids(self, conn: Connection, last_ids: dict[str, int]) -> None:
        """Write them into SQLite's own table."""
        raise_to = text("UPDATE sqlite_sequence SET seq = :last WHERE name = :name AND seq < :last")
        for name, last in last_ids.items():
            conn.execute(raise_to, {"name": name, "last": last})

    def _publish(self) -> None:
        self._staged.dispose()  # Closing the last connection moves the log into the file.
        if Path(f"{self._new}-wal").exists():
            raise BackupError("the new store could not be closed")
        with self._new.open("rb") as file:
            os.fsync(file.fileno())
        for suffix in SIDES[1:4]:  # Those of another store would be taken for this one's.
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        self._new.rename(self._path)
        sync_folder(self._path.parent)

    def _remove(self) -> None:
        for suffix in SIDES:
            Path(f"{self._new}{suffix}").unlink(missing_ok=True)


class PostgresPlace(Place):
    """A database without tables, filled in one transaction."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._conn: Connection | None = None
        self._foreign_keys: list[tuple[str, str, str]] = []

    def check_empty(self) -> None:
        """Check that the database has no table."""
        with self.store.read() as conn:
            names = sorted(inspect(conn).get_table_names())
        if names:
            named = ", ".join(names[:3])
            raise BackupError(
                f"the place is not empty: the database {self.store.url.database} has "
                f"{len(names)} tables ({named} …). Make a new database and set DATABASE_URL"
            )

    def check_room(self, unpacked_bytes: int) -> None:
        """Do nothing: nobody knows the disk of a server."""

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Begin the transaction, and commit it at the end."""
        with self.store.write(foreign_keys=False) as conn:
            self._conn = conn
            yield

    def transaction(self) -> AbstractContextManager[Connection]:
        """Return the one transaction."""
        if self._conn is None:
            raise RuntimeError("the place is not being filled")
        return nullcontext(self._conn)

    def drop_foreign_keys(self, conn: Connection) -> None:
        """Drop them, since otherwise each row is checked when it comes."""
        found = conn.exec_driver_sql(
            "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE contype = 'f'"
            " AND connamespace = current_schema()::regnamespace"
        )
        self._foreign_keys = [(str(of), str(name), str(rule)) for of, name, rule in found]
        for of, name, _ in self._foreign_keys:
            conn.exec_driver_sql(f"ALTER TABLE {of} DROP CONSTRAINT {name}")

    def check_foreign_keys(self, conn: Connection) -> None:
        """Add them again, which checks all rows."""
        for of, name, rule in self._foreign_keys:
            try:
                conn.exec_driver_sql(f"ALTER TABLE {of} ADD CONSTRAINT {name} {rule}")
            except IntegrityError:
                raise BackupError(f"a row of {of} refers to a missing one ({name})") from None

    def set_last_ids(self, conn: Connection, last_ids: dict[str, int]) -> None:
        """Set every sequence to the last id, or to the largest one that is there."""
        owned = conn.exec_driver_sql(
            "SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name),"
            " column_name) FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL"
        ).all()
        for name, key, sequence in owned:
            largest: Any = select(func.max(column(key))).select_from(table(name))
            last = max(conn.scalar(largest) or 0, last_ids.get(name, 0))
            if last:
                conn.execute(select(func.setval(sequence, last)))


def _is_without_tables(path: Path) -> bool:
    """Return whether SQLite finds a file that it can read, and no table in it."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
    except sqlite3.Error:
        return False


def place_of(store: Store) -> Place:
    """Return the place that the settings name."""
    return SqlitePlace(store) if store.is_sqlite else PostgresPlace(store)
