"""The disk: what was deleted and rewritten must not be readable in the files of the database.

On SQLite, the file is written anew (`VACUUM`), and the write-ahead log is emptied. Every byte that
is in neither a row nor an index is gone then, also what was removed long before. On PostgreSQL,
`VACUUM` frees the old versions of rows in all tables; its own log is not touched.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from app.erasing.task import Task
from app.store import Store, StoreError
from app.store.integrity import RESTORING
from app.store.size import compact

# How long to wait until all other processes let the log be emptied.
CHECKPOINT_S = 30.0
PIECE_BYTES = 4 * 1024**2
# Longer than any identifier.
OVERLAP_BYTES = 1024


def clean_disk(task: Task) -> None:
    """Make the database forget the bytes of what it no longer has."""
    if task.store.is_sqlite and (missing := _missing_bytes(task)):
        task.report.notes.append(
            f"the disk has {missing:,} bytes too few to write the file anew: make room and run this"
            " again, so that freed pages are overwritten"
        )
        return
    try:
        if not compact(task.store, CHECKPOINT_S):
            task.report.notes.append(
                "a reader kept the write-ahead log from being emptied: run this again"
            )
    except StoreError as error:
        task.report.notes.append(f"the file could not be written anew ({error}): run this again")


def has_unfinished_restore(store: Store) -> bool:
    """Return whether a restore that was killed left a store beside this one."""
    if not store.is_sqlite:
        return False
    path = Path(str(store.url.database))
    return any(path.parent.glob(f"{path.name}{RESTORING}*"))


def raw_hits(task: Task) -> int:
    """Return how often the identifier stands as a word in the raw bytes of the SQLite files.

    0 for an id that is found in many texts, and on PostgreSQL.
    """
    identifier = task.person.identifier
    if not task.store.is_sqlite or not identifier.is_unmistakable:
        return 0
    forms = {identifier.value, identifier.value.replace("@", "%40")}
    sought = "|".join(re.escape(form) for form in sorted(forms))
    # `joann@shop.example` is somebody else.
    word = re.compile(rf"(?<![a-z0-9._+\-])(?:{sought})(?![a-z0-9.])".encode(), re.IGNORECASE)
    path = Path(str(task.store.url.database))
    return sum(_hits(Path(f"{path}{suffix}"), word) for suffix in ("", "-wal"))


def _hits(path: Path, word: re.Pattern[bytes]) -> int:
    count, before = 0, b""
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                count += len(word.findall(before + piece)) - len(word.findall(before))
                before = piece[-OVERLAP_BYTES:]
    except FileNotFoundError:
        pass
    return count


def _missing_bytes(task: Task) -> int:
    """Return how many bytes the disk lacks: the log takes a copy of all that is in the file."""
    path = Path(str(task.store.url.database))
    needed = int(2.1 * path.stat().st_size)
    return max(0, needed - shutil.disk_usage(path.parent).free)
