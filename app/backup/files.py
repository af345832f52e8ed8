"""The files of a backup beside the rows: the emergency folder and the secret key of the sessions.

A line of their member is ``[name, content in base64]``. A name from a backup is compared with the
two forms that exist, and is never used as a path.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from app.backup.errors import BackupError
from app.intake.emergency import sync_folder, write_synced

SECRET_KEY = "secret_key"  # noqa: S105 -- the name of a file
_EMERGENCY = re.compile(r"emergency/([0-9a-f]{32}\.envelope)")


class Folders(NamedTuple):
    """Where the files are: the emergency folder, and the folder of the data."""

    emergency: Path
    data: Path

    def path_of(self, name: str) -> Path:
        """Return the path of a file of a backup.

        :raise BackupError: a backup has no file of this name.
        """
        if name == SECRET_KEY:
            return self.data / SECRET_KEY
        if found := _EMERGENCY.fullmatch(name):
            return self.emergency / found[1]
        raise BackupError(f"the backup has a file of a name that none has: {name[:100]!r}")


def lines_of_files(folders: Folders) -> Iterator[bytes]:
    """Yield a line for each file. A file that goes into the store meanwhile is left out."""
    names = [SECRET_KEY, *sorted(_names_in(folders.emergency))]
    for name in names:
        with suppress(FileNotFoundError):
            content = folders.path_of(name).read_bytes()
            yield json.dumps([name, b64encode(content).decode()]).encode() + b"\n"


def read_file(line: bytes, folders: Folders) -> tuple[Path, bytes]:
    """Return the path and the content of a file.

    :raise BackupError: the line is not one of :func:`lines_of_files`.
    """
    try:
        name, content = json.loads(line)
        return folders.path_of(str(name)), b64decode(content, validate=True)
    except (ValueError, TypeError, RecursionError) as error:
        raise BackupError(f"a file cannot be read: {error}") from None


def unexpected(folders: Folders, files: Iterable[tuple[Path, bytes]]) -> list[Path]:
    """Return the files of the emergency folder that are not those of a backup.

    Those of a backup are there if its restore was interrupted.
    """
    same = {path.name for path, content in files if path.is_file() and path.read_bytes() == content}
    there = [folders.path_of(name) for name in _names_in(folders.emergency)]
    return [path for path in there if path.name not in same]


def write_files(files: Iterable[tuple[Path, bytes]]) -> int:
    """Write files in their places and return how many. Each is there completely or not at all."""
    count, folders = 0, set()
    for path, content in files:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f"{path.name}.part")
        write_synced(part, content)
        part.rename(path)
        folders.add(path.parent)
        count += 1
    for folder in folders:
        sync_folder(folder)
    return count


def _names_in(emergency: Path) -> list[str]:
    try:
        names = [f"emergency/{name}" for name in os.listdir(emergency)]
    except FileNotFoundError:
        return []
    return [name for name in names if _EMERGENCY.fullmatch(name)]
