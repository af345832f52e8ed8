"""Restoring a backup into an empty place.

check everything ── schema of the backup's revision ── rows ── count them again, row by row of the
manifest ── migrate ── accounting ── files ── only now the store can be seen
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, inspect, select, table
from sqlalchemy.exc import DataError, IntegrityError

from app.backup.archive import FILES, Reader, member_of
from app.backup.check import Bars, check, check_tables
from app.backup.errors import BackupError
from app.backup.files import Folders, read_file, unexpected, write_files
from app.backup.manifest import Kind, Manifest, TablePart
from app.backup.places import Place, place_of
from app.backup.rows import insertion, read_rows
from app.delivery.accounting import accounting
from app.store import Store
from app.store.migrations import upgrade

# One statement has at most so many rows, and about so many bytes.
BATCH_ROWS, BATCH_BYTES = 1000, 4 * 1024**2

Batch = list[dict[str, Any]]


def restore_backup(path: Path, store: Store, folders: Folders, bars: Bars) -> Manifest:
    """Restore a backup and prove that all of it is there.

    :param store: where the store will be; no process may use it.
    :raise BackupError: the backup is damaged, the place is not empty, or a proof failed. Then there
        is no store, but files of the emergency folder may be there.
    :raise StoreError: the database does not answer.
    """
    place = place_of(store)
    with Reader(path) as backup:
        found = backup.manifest
        place.check_empty()
        place.check_room(backup.unpacked_bytes)
        check(backup, bars)
        _check_folders(backup, folders)
        try:
            with place.filled():
                place.check_empty()  # Again: now nobody can make a store here.
                _fill(place, backup, bars)
                # An event is stored from these files when the service starts. The store comes last:
                # without it, nothing looks like a whole restore.
                write_files(_files(backup, folders))
        except OSError as error:
            raise BackupError(f"the place cannot be written: {error.strerror}") from None
    return found


def _check_folders(backup: Reader, folders: Folders) -> None:
    if others := unexpected(folders, _files(backup, folders)):
        raise BackupError(
            f"the place is not empty: the emergency folder has {len(others)} events that are not "
            f"in the backup, such as {others[0]}. Move them away, or set another EMERGENCY_DIR"
        )


def _files(backup: Reader, folders: Folders) -> Iterator[tuple[Path, bytes]]:
    lines = backup.lines(FILES, backup.manifest.files)
    return (read_file(line, folders) for line in lines)


def _fill(place: Place, backup: Reader, bars: Bars) -> None:
    found = backup.manifest
    with place.transaction() as conn:
        upgrade(conn, found.revision)
        _check_schema(conn, found)
        place.drop_foreign_keys(conn)
        for name in found.tables:  # Migrations make some rows, such as project 1.
            conn.execute(delete(table(name)))
    with bars("restoring", found.rows) as advance:
        for name, part in found.tables.items():
            _fill_table(place, name, part, backup.lines(member_of(name), part), advance)
    with place.transaction() as conn:
        place.set_last_ids(conn, found.last_ids)
        place.check_foreign_keys(conn)
        _recount(conn, found)
        upgrade(conn)
        if not accounting(conn)["balanced"]:
            raise BackupError("the accounting of the restored store does not add up")


def _fill_table(
    place: Place, name: str, part: TablePart, lines: Iterable[bytes], advance: Callable[[int], None]
) -> None:
    statement = insertion(name, part.columns)
    for batch in _batches(name, lines, part.columns):
        try:
            with place.transaction() as conn:
                conn.execute(statement, batch)
        except (IntegrityError, DataError) as error:
            what = str(error.orig).partition("\n")[0]
            raise BackupError(f"{place.store.url.get_backend_name()}: {name}: {what}") from None
        advance(len(batch))


def _batches(of: str, lines: Iterable[bytes], columns: list[tuple[str, Kind]]) -> Iterator[Batch]:
    names, kinds = [name for name, _ in columns], [kind for _, kind in columns]
    batch: Batch = []
    size = 0
    for values in read_rows(of, lines, kinds):
        batch.append(dict(zip(names, values, strict=True)))
        size += sum(len(value) for value in values if isinstance(value, (bytes, str)))
        if len(batch) == BATCH_ROWS or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _check_schema(conn: Connection, found: Manifest) -> None:
    """Check that tables and columns are those of the revision: their names go into statements."""
    known = inspect(conn)
    tables = set(known.get_table_names()) - {"alembic_version"}
    check_tables(tables, found)
    for name, part in found.tables.items():
        columns = {column["name"] for column in known.get_columns(name)} if name in tables else None
        given = [column for column, _ in part.columns]
        if columns is None or sorted(columns) != sorted(given):
            raise BackupError(f"the backup has a table {name} that schema {found.revision} has not")


def _recount(conn: Connection, found: Manifest) -> None:
    for name, part in found.tables.items():
        count = conn.scalar(select(func.count()).select_from(table(name)))
        if count != part.count:
            raise BackupError(f"{name} has {count} rows, the manifest says {part.count}")
