"""The size of a store on the disk, and its compaction."""

from __future__ import annotations

import time
from pathlib import Path

from sqlalchemy import func, select

from app.store.database import Store
from app.store.engines import POLL_S


def size_bytes(store: Store) -> int:
    """Return the size of a store on the disk, including the write-ahead log."""
    if store.is_sqlite:
        paths = (Path(f"{store.url.database}{suffix}") for suffix in ("", "-wal", "-shm"))
        return sum(path.stat().st_size for path in paths if path.exists())
    with store.read() as conn:
        return int(conn.scalar(select(func.pg_database_size(func.current_database()))) or 0)


def wal_bytes(store: Store) -> int:
    """Return the size of SQLite's write-ahead log, 0 if there is none."""
    path = Path(f"{store.url.database}-wal")
    return path.stat().st_size if store.is_sqlite and path.exists() else 0


def compact(store: Store, timeout_s: float = 30.0) -> bool:
    """Write SQLite's file anew and empty its log, or vacuum all tables of PostgreSQL.

    Nothing that was deleted or overwritten is in the SQLite files afterwards. Other writers wait
    meanwhile, about a second for each 100 MB.

    :param timeout_s: seconds to wait for other writers, and again for readers of the log.
    :return: whether the log is empty; readers of an old snapshot may prevent it.
    :raise StoreError: another writer held the store for that long, or the disk is full.
    """
    if not store.is_sqlite:
        store.maintain("VACUUM")
        return True
    with store.sqlite_alone(timeout_s) as driver:
        deadline = time.monotonic() + timeout_s
        driver.execute("VACUUM")
        # The first column says whether a reader or a writer was in the way.
        while driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
    return True
