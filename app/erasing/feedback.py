"""Feedback: what the person wrote is removed; in that of others, the identifier is replaced."""

from __future__ import annotations

from sqlalchemy import delete, update

from app.erasing.rows import fitting, is_row, pages
from app.erasing.task import Task
from app.issues.tables import feedback

COLUMNS = ("message", "name", "email", "url", "source")


def erase_feedback(task: Task) -> None:
    """Erase the person from feedback whose envelope no longer has them, or never had."""
    for found in pages(task, feedback, COLUMNS):
        theirs = [row for row in found if task.person.is_it(row.email)]
        others = [row for row in found if row not in theirs]
        if task.is_dry:
            continue  # Its envelopes are counted already.
        with task.write() as conn:
            for row in theirs:
                conn.execute(delete(feedback).where(*is_row(feedback, row)))
            for row in others:
                values = fitting(feedback, task.in_row(row, COLUMNS))
                if values:
                    conn.execute(update(feedback).where(*is_row(feedback, row)).values(values))
        task.report.counts["feedback"] += len(others)
