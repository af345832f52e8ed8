"""The queue of processes that want to write: a lock on a file beside the SQLite store.

SQLite's own lock has no queue. A process that finds it taken tries again, and each refused BEGIN
goes through SQLAlchemy's error handling. A refused file lock costs a hundredth of that. So a writer
can try often, and begins soon after the lock is free. The kernel releases the lock of a process
that dies. This lock guarantees nothing: ``BEGIN IMMEDIATE`` is what keeps writers apart.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Short compared to a commit, whose fsync takes 1 to 5 ms. A try costs about 10 microseconds.
POLL_S = 0.0005


class WriterLock:
    """The writer lock of one store. Only one thread of a process may wait for it at a time.

    :param path: the path of the lock file. It is created when it is first needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._pid = 0

    @contextmanager
    def mine(self, deadline: float) -> Iterator[bool]:
        """Wait for the lock and hold it. Yield ``False`` if it was not free in time.

        :param deadline: when to stop waiting, by ``time.monotonic()``.
        """
        file = self._opened()
        if file is None:
            yield True  # The folder cannot be written. SQLite will report that.
            return
        is_mine = _take(file, deadline)
        try:
            yield is_mine
        finally:
            if is_mine:
                fcntl.flock(file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _opened(self) -> int | None:
        # Open the file in each process: a forked process shares the locks of its parent.
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
