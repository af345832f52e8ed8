"""Check the SQLite file, and move it aside if it is damaged.

Every process that uses the store holds a shared lock on a file beside it. A process that gets the
lock exclusively is the first one. It checks the store, and moves it aside if it is damaged, which
is safe because no other process uses it. All other processes wait for that, and need no check.
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
    """Check a store that no process uses yet. Return the lock to hold while using it.

    :param rebuild: creates a new store. It is called after a damaged store was moved aside, or if
        the store is empty although there was one. No other process can open the store meanwhile.
    :raise OSError: the lock file cannot be written.
    """
    guard = lock_of(path)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(guard, fcntl.LOCK_SH)  # Other processes use or check the store.
        return guard
    try:
        if is_lost(path) or is_damaged(path):
            move_aside(path)
            rebuild(path)
    except BaseException:
        guard.close()  # The next process that starts tries again.
        raise
    fcntl.flock(guard, fcntl.LOCK_SH)
    return guard


def is_lost(path: Path) -> bool:
    """Return whether the store is empty, although files beside it show that there was one."""
    was_there = copy_of(path).exists() or bool(damaged_files(path))
    return was_there and path.stat().st_size == 0


def is_damaged(path: Path) -> bool:
    """Return whether SQLite finds the file damaged. A file that cannot be read now is not damaged.

    Source: https://www.sqlite.org/pragma.html#pragma_quick_check, 2026-11-23.
    """
    connection = sqlite3.connect(path, timeout=5)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
    except sqlite3.OperationalError:
        return False  # It is locked or read-only, or the disk is full, but it is not damaged.
    except sqlite3.DatabaseError:
        return True
    finally:
        connection.close()


# A store that is being restored has this after its name until it is whole.
RESTORING = ".restoring"


def move_aside(path: Path) -> Path:
    """Rename a damaged store and its side files. Return the new name."""
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


def lock_of(path: Path) -> IO[bytes]:
    """Open the file whose lock is held by every process that uses the store."""
    name = path.with_name(f"{path.name}.lock")
    return os.fdopen(os.open(name, os.O_CREAT | os.O_RDWR, 0o600), "r+b")
