"""The emergency folder: keeps envelopes that the store could not write in time.

Each envelope is one file, already scrubbed. The file is either complete or absent: it is written
under a temporary name, synced, then renamed. So writers need no lock, and any process may recover
a file. Recovering a file twice does no harm, because the store knows the envelope's uid.

The alternative, one growing file per process, would need locks between the processes that write and
those that recover.
"""

from __future__ import annotations

import base64
import errno
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger("app.tracker")

SUFFIX = ".envelope"
# The bounds of the folder. When the store is full, all errors of the application may be written
# here. These bounds hold hours of errors, and fit on the free disk of a small machine.
MAX_FILES = 20_000
MAX_BYTES = 256 * 1024**2
# How long the measured size of the folder stays valid, in seconds. An error must not wait until
# 20,000 file names are read.
_LOOK_HOLDS_S = 5.0


class Waiting(NamedTuple):
    """An envelope in the emergency folder, and the path of its file."""

    path: Path
    uid: str
    project_id: int
    received_at: datetime
    body: bytes
    scrubbed: list[dict[str, str]]


class EmergencyFolder:
    """A folder with one complete file for each envelope.

    :param path: the folder. It is created on first use, with mode 0700.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = self._bytes = 0
        self._looks_at = float("-inf")

    def put(
        self,
        uid: str,
        project_id: int,
        received_at: datetime,
        body: bytes,
        scrubbed: list[dict[str, str]],
    ) -> None:
        """Write one envelope so that it survives a power cut.

        :param uid: the unique key of the envelope, 32 hex digits.
        :param body: the scrubbed envelope in wire form, not compressed.
        :param scrubbed: its scrubbing report, a list of ``{"path", "rule"}``.
        :raise OSError: the folder cannot be written, or it is full.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        record = {
            "uid": uid,
            "project_id": project_id,
            "received_at": received_at.isoformat(),
            "body": base64.b64encode(body).decode(),
            "scrubbed": scrubbed,
        }
        data = json.dumps(record).encode()
        self._take_room(len(data))
        final = self.path / f"{uid}{SUFFIX}"
        part = self.path / f"{uid}.part"
        try:
            write_synced(part, data)
            part.rename(final)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        sync_folder(self.path)

    def waiting(self) -> Iterator[Waiting]:
        """Yield the envelopes in the folder, oldest first.

        A file that another process recovers in the meantime is skipped. A damaged file is renamed.
        """
        for path in sorted(self._paths(), key=_modified):
            try:
                waiting = _read(path)
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError, RecursionError, IsADirectoryError):
                self._set_aside(path)
            except OSError as error:
                # The file may be readable later. The other files do not have to wait for it.
                log.warning("a file of the emergency folder cannot be read: %s", error.strerror)
            else:
                yield waiting

    def _set_aside(self, path: Path) -> None:
        try:
            self.quarantine(path)
        except OSError as error:
            log.warning("a damaged file of the emergency folder stays: %s", error.strerror)

    def quarantine(self, path: Path) -> None:
        """Rename a file that cannot be recovered, and keep it so that a person can look at it."""
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(".damaged"))

    def count(self) -> int:
        """Return how many envelopes are in the folder."""
        return len(self._paths())

    def _take_room(self, size: int) -> None:
        """Add a file to the measured size of the folder.

        Several processes may together exceed the bound by what they write between two measurements.

        :raise OSError: the folder has no room for the file.
        """
        if time.monotonic() >= self._looks_at:
            sizes = [_size(path) for path in self._paths()]
            self._files, self._bytes = len(sizes), sum(sizes)
            self._looks_at = time.monotonic() + _LOOK_HOLDS_S
        if self._files >= MAX_FILES or self._bytes + size > MAX_BYTES:
            raise OSError(errno.ENOSPC, "the emergency folder has as much as it may have")
        self._files += 1
        self._bytes += size

    def _paths(self) -> list[Path]:
        try:
            return [
                Path(entry.path) for entry in os.scandir(self.path) if entry.name.endswith(SUFFIX)
            ]
        except OSError:
            return []  # The folder is missing or not readable, so no file was written there either.


def _read(path: Path) -> Waiting:
    """Read one file.

    :raise ValueError: its content is damaged; also ``KeyError`` and ``TypeError``.
    """
    record = json.loads(path.read_bytes())
    received_at = datetime.fromisoformat(record["received_at"])
    waiting = Waiting(
        path,
        record["uid"],
        record["project_id"],
        received_at,
        base64.b64decode(record["body"]),
        record["scrubbed"],
    )
    kinds = ((waiting.uid, str), (waiting.project_id, int), (waiting.scrubbed, list))
    if not all(isinstance(value, kind) for value, kind in kinds) or received_at.tzinfo is None:
        raise ValueError("a value has the wrong type")
    return waiting


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def write_synced(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, and wait for the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names of a folder are on the disk."""
    # The rename is on the disk only after the folder is synced.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
