"""The zip file of a backup. Members are found by names that this program makes, never unpacked.

A zip file ends with the list of its members. So a file that was cut off is not a zip file.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from app.backup import manifest
from app.backup.errors import BackupError
from app.backup.manifest import Manifest, Part
from app.intake.emergency import sync_folder

FILES = "files.jsonl"
PART_SUFFIX = ".part"
# The largest body of an envelope is 40 MiB, in base64 53 MiB.
MAX_LINE_BYTES = 80 * 1024**2
# Most of the bytes are compressed already: level 6 takes 1.25 times the CPU and saves 2 %.
LEVEL = 1
_BUFFER_BYTES = 1024**2
# What `zipfile` raises for bytes that somebody changed: a name that is not UTF-8 is a ValueError.
_DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError),
)


def member_of(table: str) -> str:
    """Return the name of the member with the rows of a table."""
    return f"rows/{table}.jsonl"


# ---- writing ------------------------------------------------------------------------------------


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file of a temporary name, readable by its owner only. It is removed on an error.

    :raise BackupError: there is a file of this name, or another process writes one.
    """
    if path.exists():
        raise BackupError(f"{path} exists already: give another name, or remove it")
    part = path.with_name(path.name + PART_SUFFIX)
    # A process that was killed leaves its part behind. The next one of this name replaces it.
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup is writing {path}") from None
        if not _is_at(part, descriptor):
            # The other one has given the file its name, after it was opened and before its lock.
            raise BackupError(f"another backup has just written {path}")
        os.fchmod(descriptor, 0o600)
        file.truncate()
        try:
            yield file
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether an open file still has this name."""
    return path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor))


def publish(path: Path) -> None:
    """Give a file of :func:`new_file` its name, when all of it is on the disk."""
    part = path.with_name(path.name + PART_SUFFIX)
    part.rename(path)
    sync_folder(path.parent)


class Writer:
    """Writes the members of a backup."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def add(self, name: str, lines: Iterable[bytes]) -> Part:
        """Write a member and return what the manifest says about it."""
        digest, count = hashlib.sha256(), 0
        with (
            self._zip.open(name, "w", force_zip64=True) as member,
            io.BufferedWriter(member, _BUFFER_BYTES) as buffer,
        ):
            for line in lines:
                digest.update(line)
                buffer.write(line)
                count += 1
        return Part(count=count, sha256=digest.hexdigest())

    def finish(self, found: Manifest) -> None:
        """Write the manifest and the list of the members, and wait for the disk."""
        self._zip.writestr(manifest.NAME, json.dumps(found.model_dump(mode="json"), indent=1))
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())


# ---- reading ------------------------------------------------------------------------------------


class Reader:
    """Reads a backup. What it reads is checked against the manifest.

    :raise BackupError: the file is not a whole backup, or a newer version of the program made it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise BackupError(f"{path} cannot be read: {error.strerror}") from None
        except _DAMAGES:
            raise BackupError(f"{path} is not a backup, or it was cut off") from None
        try:
            self.manifest = manifest.read_manifest(self._read_manifest())
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def unpacked_bytes(self) -> int:
        """The size of all members; :mod:`zipfile` reads no more than this."""
        return sum(member.file_size for member in self._zip.infolist())

    def lines(self, name: str, part: Part) -> Iterator[bytes]:
        """Yield the lines of a member.

        :raise BackupError: the member is missing or damaged, at the latest after the last line.
        """
        digest, count = hashlib.sha256(), 0
        with self._member(name) as member:
            while line := _line(member, name):
                digest.update(line)
                count += 1
                yield line
        if count != part.count:
            raise BackupError(f"{name} has {count} rows, the manifest says {part.count}")
        if digest.hexdigest() != part.sha256:
            raise BackupError(f"{name} is damaged: its SHA-256 is not that of the manifest")

    def _read_manifest(self) -> bytes:
        with self._member(manifest.NAME) as member:
            content = member.read(manifest.MAX_BYTES + 1)
        if len(content) > manifest.MAX_BYTES:
            raise BackupError("the manifest is too large to be one")
        return content

    @contextmanager
    def _member(self, name: str) -> Iterator[IO[bytes]]:
        member: Any
        try:
            with self._zip.open(name) as member, io.BufferedReader(member, _BUFFER_BYTES) as buffer:
                yield buffer
        except KeyError:
            raise BackupError(f"the backup has no {name}") from None
        except _DAMAGES as error:
            raise BackupError(f"{name} is damaged: {error}") from None
        except OSError as error:
            raise BackupError(f"{name} cannot be read: {error.strerror or error}") from None


def _line(member: IO[bytes], name: str) -> bytes:
    line = member.readline(MAX_LINE_BYTES)
    if line and not line.endswith(b"\n"):
        raise BackupError(f"{name} is damaged: a line has no end")
    return line
