"""The emergency folder: where an envelope waits that the store could not take in time.

One file an envelope, already scrubbed, complete or not there at all: written beside its name,
synced, then renamed. So writers need no lock among each other, whoever finds a file may take it
in, and taking it in twice is harmless, because the store knows the envelope's uid. The path not
taken, one file a process that grows, needs locks between who writes and who takes in.
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
# What the folder may have, since a full store may have all of the application's errors come here:
# hours of them, at a size that a disk of a small machine has left.
MAX_FILES = 20_000
MAX_BYTES = 256 * 1024**2
# How long a look at the folder holds, in seconds: no error waits for 20,000 names to be read.
_LOOK_HOLDS_S = 5.0


class Waiting(NamedTuple):
    """An envelope as the store takes it, with the file it waits in."""

    path: Path
    uid: str
    project_id: int
    received_at: datetime
    body: bytes
    scrubbed: list[dict[str, str]]


class EmergencyFolder:
    """Files of envelopes, newest state always whole.

    :param path: made on first use, 0700.
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

        :param body: the scrubbed envelope in wire form, not compressed.
        :param scrubbed: its receipt, ``{"path", "rule"}`` each.
        :raise OSError: the folder cannot be written either, or has as much as it may have.
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
            _write_synced(part, data)
            part.rename(final)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        _sync_folder(self.path)

    def waiting(self) -> Iterator[Waiting]:
        """Yield what waits, oldest first; a file that another process took in is passed."""
        for path in sorted(self._paths(), key=_modified):
            try:
                waiting = _read(path)
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError, RecursionError, IsADirectoryError):
                self._set_aside(path)
            except OSError as error:
                # It may be readable later; the others need not wait for it.
                log.warning("a file of the emergency folder cannot be read: %s", error.strerror)
            else:
                yield waiting

    def _set_aside(self, path: Path) -> None:
        try:
            self.quarantine(path)
        except OSError as error:
            log.warning("a damaged file of the emergency folder stays: %s", error.strerror)

    def quarantine(self, path: Path) -> None:
        """Put a file that cannot be taken in out of the way, kept for a person to look at."""
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(".damaged"))

    def count(self) -> int:
        """Return how many envelopes wait."""
        return len(self._paths())

    def _take_room(self, size: int) -> None:
        """Count a file in; several processes may go beyond the bound by what they write in a look.

        :raise OSError: there is no room for it.
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
            return []  # Not made yet, or not readable: then nothing was put there either.


def _read(path: Path) -> Waiting:
    """Read one file.

    :raise ValueError: and ``KeyError``, ``TypeError``: its content is damaged.
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


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    # The rename is on the disk only when the folder is.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
