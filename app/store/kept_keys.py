"""Keep the rows that a damaged SQLite store must not lose.

These rows decide who may report, log in and call the API, and where events and notifications go.

store ── whenever it changed ──▶ <store>.keys          a copy beside it, JSON, readable by its owner
                                       │ where the damaged file cannot be read to its end
damaged file ── row by row ────────────┴─▶ a new store

Rows are copied as SQLite stores them, column by column. So a file of an older version is recovered
as far as the two versions have columns in common. Values that the service learned or counted
(limits of a destination, states of rules) are left out, because it learns them again.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

log = logging.getLogger("app.tracker")

Row = dict[str, Any]

# The tables with the column that identifies a row. Parents come before their children.
TABLES = {
    "facts": "name",
    "projects": "id",
    "project_keys": "id",
    "users": "username",
    "api_tokens": "id",
    "destinations": "project_id",
    "alert_channels": "id",
    "alert_rules": "id",
    "grouping_rules": "id",
}
# Without these tables, no one can know that a key is unknown.
NEEDED = ("projects", "project_keys")
# The only fact that is kept. It identifies the store. Other facts describe the content of one.
FACT = "instance_id"
# Columns that change automatically, with the values they have in a new store.
LEFT_OUT: dict[str, Row] = {
    "destinations": {
        **dict.fromkeys(("dsn_hash", "open_since", "cause", "probe_at", "delivered_at")),
        "failures": 0,
        "limits": "{}",
    },
    "alert_rules": {
        **dict.fromkeys(("value", "detail", "evaluated_at", "noticed_at")),
        **dict.fromkeys(("held_issue_id", "held_event_id")),
        "state": "unknown",
        "held": 0,
    },
}


@dataclass
class Kept:
    """Rows by table.

    :param whole: the tables that were read to their end.
    """

    rows: dict[str, list[Row]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)

    @property
    def has_all_keys(self) -> bool:
        """Whether it is certain that a key is unknown if it is not among the rows."""
        return self.whole.issuperset(NEEDED)


def copy_of(path: Path) -> Path:
    """Return the path of the copy of a store."""
    return path.with_name(f"{path.name}.keys")


def write_copy(connection: sqlite3.Connection, path: Path) -> bool:
    """Write the copy beside a store if its content has changed. Return whether it was written.

    :param connection: a connection to the store, which is only read.
    :param path: the path of the store.
    :raise OSError: the copy cannot be written. The previous copy still exists.
    """
    content = json.dumps(_read(connection).rows, sort_keys=True).encode()
    target = copy_of(path)
    if target.exists() and target.read_bytes() == content:
        return False
    beside = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        with open(os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return True


def salvage(damaged: Path | None, copy: Path) -> Kept:
    """Return the rows that can be read from a damaged store, and the other rows from the copy."""
    found = _read_file(damaged) if damaged else Kept()
    kept = _read_copy(copy)
    if kept is None:
        return found
    for table, key in TABLES.items():
        if table not in found.whole:
            rows = found.rows.setdefault(table, [])
            known = {row.get(key) for row in rows}
            rows += [row for row in kept.rows.get(table, []) if row.get(key) not in known]
    return Kept(found.rows, found.whole | kept.whole)


def take_over(connection: sqlite3.Connection, kept: Kept) -> int:
    """Insert rows into a new store and return how many. The caller commits.

    :param connection: a connection with foreign keys off.
    """
    _add_missing_projects(kept)
    count = 0
    for table in TABLES:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        for row in kept.rows.get(table, []):
            count += _put(connection, table, {**row, **LEFT_OUT.get(table, {})}, columns)
    return count


def _put(connection: sqlite3.Connection, table: str, row: Row, columns: list[str]) -> int:
    names = [name for name in columns if name in row]
    marks = ", ".join("?" * len(names))
    # Rows that a new store has from the start, project 1 and the id, are replaced.
    statement = f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 -- our names
    try:
        connection.execute(statement, [row[name] for name in names])
    except sqlite3.Error as error:
        log.warning("a row of %s could not be taken over: %s", table, error)
        return 0
    return 1


def _add_missing_projects(kept: Kept) -> None:
    """Add a project for keys and destinations whose project row could not be read."""
    projects = kept.rows.setdefault("projects", [])
    known = {row.get("id") for row in projects}
    created_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    for table in ("project_keys", "destinations"):
        for row in kept.rows.get(table, []):
            project_id = row.get("project_id")
            if isinstance(project_id, int) and project_id not in known:
                known.add(project_id)
                name = f"Project {project_id}"
                projects.append({"id": project_id, "name": name, "created_at": created_at})


def _read_file(path: Path) -> Kept:
    """Read a file that may be damaged, without changing it.

    Its write-ahead log is included if it is readable.
    """
    best = Kept()
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        try:
            connection = sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, timeout=1)
        except sqlite3.Error:
            continue
        try:
            found = _read(connection)
        finally:
            connection.close()
        if found.has_all_keys:
            return found
        best = max(best, found, key=lambda one: sum(len(rows) for rows in one.rows.values()))
    return best


def _read_copy(path: Path) -> Kept | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not all(
        isinstance(rows, list) for rows in content.values()
    ):
        return None
    rows = {
        table: [row for row in content.get(table, []) if isinstance(row, dict)] for table in TABLES
    }
    return Kept(rows, set(content))


def _read(connection: sqlite3.Connection) -> Kept:
    kept = Kept()
    for table, key in TABLES.items():
        rows, is_whole = _rows(connection, table, key)
        if table == "facts":
            rows = [row for row in rows if row.get("name") == FACT]
        left_out = LEFT_OUT.get(table, {})
        kept.rows[table] = [
            {name: value for name, value in row.items() if name not in left_out} for row in rows
        ]
        if is_whole:
            kept.whole.add(table)
    return kept


def _rows(connection: sqlite3.Connection, table: str, key: str) -> tuple[list[Row], bool]:
    """Return the rows of a table, read from both ends up to damage, and whether all were read."""
    found: dict[Any, Row] = {}
    is_whole = True
    for direction in ("ASC", "DESC"):
        # Read the table without an index: an index may be damaged where the table is not.
        query = f"SELECT * FROM {table} NOT INDEXED ORDER BY rowid {direction}"  # noqa: S608
        try:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description]
            for values in cursor:
                row = dict(zip(names, values, strict=True))
                if not any(isinstance(value, bytes) for value in values):
                    found[row.get(key)] = row
        except sqlite3.Error:
            is_whole = False
            continue
        break
    return list(found.values()), is_whole


def newest_damaged(files: Mapping[Path, float], copy: Path) -> Path | None:
    """Return the newest damaged file, ``None`` if the copy is newer than all of them.

    :param files: the damaged files with the time of their last change, oldest first.
    """
    written = copy.stat().st_mtime if copy.exists() else 0.0
    newer = [path for path, at in files.items() if at >= written]
    return newer[-1] if newer else None
