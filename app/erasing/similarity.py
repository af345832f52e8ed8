"""Terms by which issues are compared: those with the person are made again from the events."""

from __future__ import annotations

from sqlalchemy import delete, update

from app.erasing.rows import is_row, pages
from app.erasing.task import Task
from app.issues.similarity_index import read_unread
from app.issues.tables import issue_similarity, issue_terms

# Issues that one call makes the terms of.
AT_ONCE = 100


def erase_similarity(task: Task) -> None:
    """Empty terms that have the person, and have them made again."""
    is_changed = False
    for found in pages(task, issue_similarity, ("terms",)):
        is_changed = True
        if task.is_dry:
            continue
        with task.write() as conn:
            for row in found:
                # Terms of an older version are made again.
                anew = update(issue_similarity).where(*is_row(issue_similarity, row))
                conn.execute(anew.values(terms="", version=0))
                conn.execute(delete(issue_terms).where(issue_terms.c.issue_id == row.issue_id))
    while is_changed and not task.is_dry and read_unread(task.store, AT_ONCE) == AT_ONCE:
        task.advance(0)
