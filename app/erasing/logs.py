"""Lines of logs: their texts and attributes, and the blocks that know their words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, update

from app.erasing.rows import fitting, is_row, pages
from app.erasing.task import Task
from app.erasing.values import ValueEraser
from app.signals.kinds import SIGNALS
from app.signals.logs.blocks import rebuild
from app.signals.logs.line import Key, Line
from app.signals.logs.rows import line_of, values_of
from app.signals.logs.tables import log_lines
from app.signals.walk import catch_up

# Lines that one transaction changes; the block of each is made again.
BATCH_SIZE = 20
_COLUMNS = tuple(column.name for column in log_lines.c)


def erase_logs(task: Task) -> None:
    """Erase the person from all lines, after their envelopes."""
    if not task.is_dry:
        # What was read from an envelope before it was changed is not written after this.
        catch_up(task.store, SIGNALS)
    for found in pages(task, log_lines, _COLUMNS, _has_person):
        task.report.counts["logs"] += len(found)
        for first in range(0, 0 if task.is_dry else len(found), BATCH_SIZE):
            with task.write() as conn:
                rows = found[first : first + BATCH_SIZE]
                for row in rows:
                    values = fitting(log_lines, values_of(_erased(task, line_of(row))))
                    conn.execute(update(log_lines).where(*is_row(log_lines, row)).values(values))
                _rebuild(conn, [(row.at, row.id) for row in rows])


def _rebuild(conn: Connection, keys: Iterable[Key]) -> None:
    """Make the blocks of lines again, each once."""
    rebuilt: Key | None = None
    for key in sorted(keys):
        if rebuilt is None or key >= rebuilt:
            rebuilt = rebuild(conn, key)
            if rebuilt is None:
                return


def _has_person(task: Task, row: Row[Any]) -> bool:
    texts = (row.body, row.attributes, row.release, row.environment)
    if not task.person.may_be_in("\n".join(filter(None, texts)).encode()) and not row.cut:
        return False
    line = line_of(row)
    return _erased(task, line) != line


def _erased(task: Task, line: Line) -> Line:
    values = ValueEraser(task.person)
    attributes = values.erase(dict(line.attributes), "attributes")
    body = values.erase(line.body)
    if line.cut:
        body = task.person.in_cut_text(body)
        attributes = {
            name: task.person.in_cut_text(value) if isinstance(value, str) else value
            for name, value in attributes.items()
        }
    return replace(
        line,
        body=body,
        attributes=attributes,
        release=values.erase(line.release),
        environment=values.erase(line.environment),
    )
