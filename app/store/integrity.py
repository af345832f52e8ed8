"""The SQLite file: is it whole, and what if it is not.

Whoever uses the store holds a shared lock on a file beside it for as long as it does. Who gets the
lock alone is the first one: it checks the file, and moves it aside if it is damaged, which would be
wrong under anybody's feet. Everyone else waits for that, and need not check again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from app.store.kept_keys import copy_of

log = logging.getLogger("app.tracker")

SIDE_FILES = ("", "-wal", "-shm")


def check_file(path: Path, rebuild: Callable[[Path], None] = lambda path: None) -> IO[bytes]:
    """Check a store that nobody uses yet; return the lock to hold while using it.

    :param rebuild: called where the store is damaged, after it was moved aside, or is empty though
        there was one, while nobody else can open it: puts a store in its place.
    :raise OSError: the lock's file cannot be written.
    """
    guard = _lock_file(path)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(guard, fcntl.LOCK_SH)  # Others use it, or are just checking it.
        return guard
    try:
        if is_lost(path) or is_damaged(path):
            move_aside(path)
            rebuild(path)
    except BaseException:
        guard.close()  # The next one who starts tries again.
        raise
    fcntl.flock(guard, fcntl.LOCK_SH)
    return guard


def is_lost(path: Path) -> bool:
    """Return whether a store is empty that was not: what was kept of one lies beside it."""
    was_there = copy_of(path).exists() or bool(damaged_files(path))
    return was_there and path.stat().st_size == 0


def is_damaged(path: Path) -> bool:
    """Return whether SQLite finds fault with the file; one that cannot be read now is not damaged.

    Source: https://www.sqlite.org/pragma.html#pragma_quick_check, 2026-11-23.
    """
    connection = sqlite3.connect(path, timeout=5)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
    except sqlite3.OperationalError:
        return False  # Locked, read-only, a full disk: a trouble, but no damage.
    except sqlite3.DatabaseError:
        return True
    finally:
        connection.close()


def move_aside(path: Path) -> Path:
    """Rename a damaged store and its side files; return the new name."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in SIDE_FILES:
        if (side := Path(f"{path}{suffix}")).exists():
            side.rename(f"{aside}{suffix}")
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    log.error("the store was damaged and is moved aside to %s; a new one takes its place", aside)
    return aside


def damaged_files(path: Path) -> list[Path]:
    """Return the stores that were moved aside, oldest first."""
    found = path.parent.glob(f"{path.name}.damaged-*")
    return sorted(file for file in found if not file.name.endswith(("-wal", "-shm")))


def _lock_file(path: Path) -> IO[bytes]:
    name = path.with_name(f"{path.name}.lock")
    return os.fdopen(os.open(name, os.O_CREAT | os.O_RDWR, 0o600), "r+b")
