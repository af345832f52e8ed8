"""Counts of tag values of issues: the person's values are counted as ``[erased]``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete

from app.erasing.rows import is_row, pages
from app.erasing.task import Task
from app.erasing.values import ValueEraser
from app.issues.counting import KEY_LENGTH, VALUE_LENGTH
from app.issues.tables import issue_tags
from app.store import added, upsert


def erase_tags(task: Task) -> None:
    """Erase the person from the tags that are counted for issues."""
    for found in pages(task, issue_tags, ("key", "value"), _has_person):
        task.report.counts["tags"] += len(found)
        if not task.is_dry:
            with task.write() as conn:
                for row in found:
                    _change(conn, task, row)


def _has_person(task: Task, row: Row[Any]) -> bool:
    return _erased(task, row) != (row.key, row.value)


def _erased(task: Task, row: Row[Any]) -> tuple[str, str]:
    # As one tag of an event would be erased.
    ((key, value),) = ValueEraser(task.person).erase({row.key: row.value}).items()
    return key[:KEY_LENGTH], value[:VALUE_LENGTH]


def _change(conn: Connection, task: Task, row: Row[Any]) -> None:
    gone = delete(issue_tags).where(*is_row(issue_tags, row)).returning(issue_tags.c.times_seen)
    times = conn.scalar(gone)
    if times is None:
        return
    key, value = _erased(task, row)
    new = {"issue_id": row.issue_id, "key": key, "value": value, "times_seen": times}
    conn.execute(upsert(conn, issue_tags, times_seen=added), new)
