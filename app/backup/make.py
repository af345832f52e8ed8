"""Making a backup while the service runs.

The files come first, then the rows in one snapshot. An event that goes from the emergency folder
into the store meanwhile is then in both, which is harmless: the store knows it by its uid.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Table, func, select, text

from app.backup.archive import FILES, PART_SUFFIX, Writer, member_of, new_file, publish
from app.backup.check import STEP, Bars, check_file
from app.backup.errors import BackupError
from app.backup.files import Folders, lines_of_files
from app.backup.manifest import Manifest, Part, TablePart
from app.backup.rows import kind_of, lines_of
from app.backup.tables import tables_of_backup
from app.store import Store, newest_revision, utc_now
from app.store.migrations import revision_of
from config import VERSION


class Made(NamedTuple):
    """A backup that was made: its manifest and its size."""

    manifest: Manifest
    size_bytes: int


def make_backup(store: Store, folders: Folders, path: Path, bars: Bars) -> Made:
    """Write a backup, read it again, and only then give it its name.

    :raise BackupError: it cannot be written, or there is a file of this name.
    :raise StoreError: the store does not answer.
    """
    try:
        with new_file(path) as file:
            with Writer(file) as out:
                files = out.add(FILES, lines_of_files(folders))
                with store.read() as conn:
                    out.finish(_read(conn, out, files, bars))
            size = os.fstat(file.fileno()).st_size
            made = check_file(path.with_name(path.name + PART_SUFFIX), bars)
            publish(path)
    except OSError as error:
        raise BackupError(f"the backup cannot be written: {error.strerror}") from None
    return Made(made, size)


def _read(conn: Connection, out: Writer, files: Part, bars: Bars) -> Manifest:
    """Write all rows of one snapshot, and return the manifest."""
    revision, newest = revision_of(conn), newest_revision()
    if revision is None or revision != newest:
        raise BackupError(
            f"the store has schema {revision}, this version has {newest}: make the backup with the "
            "version of the service that used the store last"
        )
    now = utc_now()
    counts = {table.name: _count(conn, table) for table in tables_of_backup()}
    tables = {}
    with bars("backing up", sum(counts.values())) as advance:
        for table in tables_of_backup():
            rows = _advancing(lines_of(conn, table), advance)
            part = out.add(member_of(table.name), rows)
            if part.count != counts[table.name]:
                raise BackupError(f"{table.name} could not be read to its end: is it damaged?")
            columns = [(column.name, kind_of(column)) for column in table.columns]
            tables[table.name] = TablePart(**part.model_dump(), columns=columns)
    return Manifest(
        created_at=now,
        version=VERSION,
        revision=revision,
        database=conn.dialect.name,
        files=files,
        tables=tables,
        last_ids=_last_ids(conn),
    )


def _count(conn: Connection, table: Table) -> int:
    return int(conn.scalar(select(func.count()).select_from(table)) or 0)


def _advancing(lines: Iterable[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    count = 0
    for count, line in enumerate(lines, 1):
        yield line
        if count % STEP == 0:
            advance(STEP)
    advance(count % STEP)


def _last_ids(conn: Connection) -> dict[str, int]:
    """Return the last id of each table whose ids are never given again."""
    query = "SELECT name, seq FROM sqlite_sequence"
    if conn.dialect.name == "postgresql":
        query = (
            "SELECT t.relname, s.last_value FROM pg_sequences s JOIN pg_class c"
            " ON c.relname = s.sequencename AND c.relnamespace = s.schemaname::regnamespace"
            " JOIN pg_depend d ON d.objid = c.oid AND d.deptype IN ('a', 'i')"
            " JOIN pg_class t ON t.oid = d.refobjid"
            " WHERE s.schemaname = current_schema() AND s.last_value IS NOT NULL"
        )
    names = {table.name for table in tables_of_backup()}
    return {name: int(last) for name, last in conn.execute(text(query)) if name in names}
