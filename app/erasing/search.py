"""The search index: documents with the person are made again, and what was removed is merged away.

The documents of events are written with the events (:mod:`.envelopes`). The document of an issue
may have words of events that are long gone, so all of them are looked through.
"""

from __future__ import annotations

from sqlalchemy import Connection, select, text

from app.erasing.task import Task
from app.events.tables import events
from app.issues.search_marks import mark_stale
from app.issues.tables import issues
from app.search.index import full_text
from app.search.indexing import index_again
from app.search.issue_documents import rebuild_stale
from app.search.tokens import ANYWHERE, of_texts
from app.store import in_batches

# Documents of issues that are read at once; each has at most 32 KB.
PAGE_SIZE = 50
REBUILT_AT_ONCE = 5
# Pages of FTS5 that one transaction merges.
MERGED_PAGES = 500
MAX_MERGES = 100_000


def erase_search(task: Task) -> None:
    """Erase the person from the search index."""
    _mark_issues(task)
    if task.is_dry:
        return
    _index_late(task)
    while rebuild_stale(task.store, REBUILT_AT_ONCE) == REBUILT_AT_ONCE:
        task.advance(0)
    if task.store.is_sqlite:
        for table in ("search_events", "search_issues"):
            _merge(task, table)


def _mark_issues(task: Task) -> None:
    """Have the documents made again that have all words of the identifier."""
    value = task.person.identifier.value
    wanted = set(of_texts(ANYWHERE, value)) if task.person.identifier.is_unmistakable else set()
    after = 0
    while wanted:
        with task.store.read() as conn:
            some = select(issues.c.id).where(issues.c.id > after).order_by(issues.c.id)
            ids = list(conn.scalars(some.limit(PAGE_SIZE)))
            documents = full_text(conn).tokens_of_issues(conn, ids)
        found = [number for number, tokens in documents.items() if wanted <= set(tokens)]
        task.report.counts["search"] += len(found)
        if found and not task.is_dry:
            with task.write() as conn:
                mark_stale(conn, found)
        task.advance(0)
        if len(ids) < PAGE_SIZE:
            return
        after = ids[-1]


def _index_late(task: Task) -> None:
    """Index events again that the background task may have read before they were changed."""
    for ids in in_batches(sorted(task.unindexed), PAGE_SIZE):
        with task.write() as conn:
            owners = select(events.c.issue_id).where(events.c.id.in_(ids)).distinct()
            index_again(conn, ids, set(conn.scalars(owners)))


def _merge(task: Task, table: str) -> None:
    """Merge the segments of a full-text table into one, which has no removed tokens any more."""
    pages = -MERGED_PAGES  # Negative: begin to merge all segments, whatever their size.
    for _ in range(MAX_MERGES):
        with task.write() as conn:
            before = _changes(conn)
            merge = f"INSERT INTO {table} ({table}, rank) VALUES ('merge', :pages)"  # noqa: S608
            conn.execute(text(merge), {"pages": pages})
            # FTS5 changes nothing but one row of ours if there was nothing to merge.
            if _changes(conn) - before < 2:
                return
        pages = MERGED_PAGES
        task.advance(0)


def _changes(conn: Connection) -> int:
    return int(conn.exec_driver_sql("SELECT total_changes()").scalar_one())
