"""Reading a backup to its end, which finds every damage."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from app.backup.archive import FILES, Reader, member_of
from app.backup.errors import BackupError
from app.backup.files import Folders, read_file
from app.backup.manifest import Manifest
from app.backup.rows import read_rows
from app.backup.tables import missing, tables_of_backup
from app.store import newest_revision

# Makes a progress bar from its label and the number of steps; it yields a function for steps done.
Bars = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
# A bar is drawn after this many rows.
STEP = 500
_NOWHERE = Folders(Path("emergency"), Path())


def check(backup: Reader, bars: Bars) -> Manifest:
    """Read every file and every row of a backup.

    :raise BackupError: something is damaged or missing, or is not what the manifest says.
    """
    found = backup.manifest
    if found.revision == newest_revision():
        check_tables({table.name for table in tables_of_backup()}, found)
    for line in backup.lines(FILES, found.files):
        read_file(line, _NOWHERE)
    with bars("verifying", found.rows) as advance:
        for name, part in found.tables.items():
            kinds = [kind for _, kind in part.columns]
            rows = read_rows(name, backup.lines(member_of(name), part), kinds)
            for count, _ in enumerate(rows, 1):
                if count % STEP == 0:
                    advance(STEP)
            advance(part.count % STEP)
    return found


def check_tables(present: set[str], found: Manifest) -> None:
    """Check that a backup has all tables of a store, whatever its manifest says.

    :param present: the tables of the store.
    :raise BackupError: one is missing.
    """
    if names := missing(present, set(found.tables)):
        raise BackupError(f"the backup lacks {len(names)} tables of its schema, such as {names[0]}")


def check_file(path: Path, bars: Bars) -> Manifest:
    """Read a backup to its end, as :func:`check`."""
    with Reader(path) as backup:
        return check(backup, bars)
