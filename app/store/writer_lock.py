"""Whose turn it is to write, among processes: a lock on a file beside the SQLite store.

SQLite's own lock has no queue: whoever finds it taken asks again, and each refused BEGIN goes
through SQLAlchemy's handling of errors. A refused lock on a file costs a hundredth of that, so that
a writer can ask often and begins when it is its turn. The kernel takes the lock from a process that
dies. Nothing is safe by this lock; ``BEGIN IMMEDIATE`` stays what keeps writers apart.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Short beside a commit, whose fsync takes 1 to 5 ms; asking costs some 10 microseconds.
POLL_S = 0.0005


class WriterLock:
    """The turns of one store; only one thread of a process may ask at a time.

    :param path: of the lock's file, made when it is first needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._pid = 0

    @contextmanager
    def mine(self, deadline: float) -> Iterator[bool]:
        """Wait for the turn and hold it; yield ``False`` when it did not come.

        :param deadline: of ``time.monotonic()``.
        """
        file = self._opened()
        if file is None:
            yield True  # A folder that cannot be written: let SQLite say so.
            return
        is_mine = _take(file, deadline)
        try:
            yield is_mine
        finally:
            if is_mine:
                fcntl.flock(file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _opened(self) -> int | None:
        # By process: one that is forked shares what its parent has locked.
        if self._file is None or self._pid != os.getpid():
            try:
                self._file = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
            except OSError:
                return None
            self._pid = os.getpid()
        return self._file


def _take(file: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        time.sleep(POLL_S)
