"""Write the index after the commit of events, never during it.

    catch_up    events after the last one in the index ── their documents ── one transaction a batch
                └─ the shared tokens ── documents of issues
    remove      called in the transaction that removes events or issues

A background task does the first. Row ids of events grow in the order of their commits, on
PostgreSQL too, because a store has one writer. So all events above the last id are not indexed yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

from sqlalchemy import Connection, delete, func, select

from app.events.tables import events
from app.issues.search_marks import mark_stale, stale_issues
from app.search.document import VERSION
from app.search.index import full_text
from app.search.issue_documents import add_to_issues, rebuild_stale
from app.search.reading import Read, read_documents
from app.search.state import (
    add_hours,
    forget_hours,
    lower_state,
    merge_old_hours,
    read_state,
    write_state,
)
from app.search.tables import search_hours
from app.store import Store, utc_now

# Events that one statement reads and one transaction writes. They hold the store's only writer for
# about 5 ms.
BATCH_SIZE = 50
# Issues whose documents are made again before more events are read.
STALE_AT_ONCE = 5
# How many events are counted for a page that says how far behind the index is.
MAX_LAG = 1000

Go = Callable[[], bool]
Progress = Callable[[int], None]


def catch_up(
    store: Store, progress: Progress = lambda count: None, goes_on: Go = lambda: True
) -> int:
    """Index all events that are not indexed yet, and return how many.

    :param progress: called after each batch with the number of its events.
    :param goes_on: called before each batch; it stops this function by returning ``False``.
    :raise StoreError: the store does not answer.
    """
    count = 0
    _start_again_if_old(store)
    while goes_on():
        rebuilt = rebuild_stale(store, STALE_AT_ONCE)
        size = _index_batch(store)
        if size:
            progress(size)
            count += size
        elif rebuilt < STALE_AT_ONCE:
            _forget_times(store)
            break
    return count


def clear(store: Store) -> None:
    """Remove everything from the index, so that it is made again.

    :raise StoreError: the store does not answer.
    """
    with store.write(60, durable=False) as conn:
        full_text(conn).clear(conn)
        conn.execute(delete(search_hours))
        conn.execute(delete(stale_issues))
        write_state(conn, 0)


def lag(conn: Connection) -> int:
    """Return how many events are not in the index yet, counted up to MAX_LAG."""
    beyond = select(events.c.id).where(events.c.id > read_state(conn).up_to).limit(MAX_LAG)
    return int(conn.execute(select(func.count()).select_from(beyond.subquery())).scalar_one())


def forget_events(conn: Connection, event_ids: Collection[int], issue_ids: Collection[int]) -> None:
    """Remove events from the index, in the transaction that removes them, after they are gone.

    The documents of their issues are made again soon after, from the events that are left.

    :param issue_ids: the issues of the events.
    """
    if event_ids:
        full_text(conn).remove_events(conn, event_ids)
        lower_state(conn)
        mark_stale(conn, issue_ids)


def index_again(
    conn: Connection, event_ids: Collection[int], issue_ids: Collection[int]
) -> set[int]:
    """Index events whose content was changed, in the transaction that changes it.

    :param issue_ids: the issues of the events; their documents are made again soon after.
    :return: the events that are not in the index yet. The background task may have read one of them
        before the change, so call this again later.
    """
    if not event_ids:
        return set()
    up_to = read_state(conn).up_to
    known = [number for number in event_ids if number <= up_to]
    read = read_documents(conn, events.c.id.in_(known), limit=len(known)) if known else []
    if read:
        full_text(conn).add_events(conn, {event.id: event.document.tokens for event in read})
    mark_stale(conn, issue_ids)
    return set(event_ids) - set(known)


def forget_issues(conn: Connection, issue_ids: Collection[int]) -> None:
    """Remove the documents of issues, in the transaction that removes the issues or their data."""
    if issue_ids:
        full_text(conn).remove_issues(conn, issue_ids)
        conn.execute(delete(stale_issues).where(stale_issues.c.issue_id.in_(issue_ids)))


def _index_batch(store: Store) -> int:
    with store.read() as conn:
        before = read_state(conn)
        read = read_documents(conn, events.c.id > before.up_to, limit=BATCH_SIZE)
    if read:
        with store.write(durable=False) as conn:
            # Events may have been removed since, and the index taken back with them.
            if read_state(conn) == before:
                _write(conn, read)
    return len(read)


def _write(conn: Connection, read: Sequence[Read]) -> None:
    ids = [event.id for event in read]
    there = set(conn.scalars(select(events.c.id).where(events.c.id.in_(ids))))
    indexed = [event for event in read if event.id in there]
    if indexed:
        documents = {event.id: event.document.tokens for event in indexed}
        full_text(conn).add_events(conn, documents)
        of_issues: dict[int, list[Sequence[str]]] = defaultdict(list)
        for event in indexed:
            of_issues[event.issue_id].append(event.document.shared)
        add_to_issues(conn, of_issues)
        add_hours(conn, [(event.id, event.at) for event in indexed], utc_now())
    write_state(conn, ids[-1])
    # The last of them may have been removed, so that its row id is free.
    if len(indexed) < len(read):
        lower_state(conn)


def _start_again_if_old(store: Store) -> None:
    with store.read() as conn:
        version = read_state(conn).version
    if version < VERSION:
        clear(store)


def _forget_times(store: Store) -> None:
    """Remove times that no event needs; usually there are none, which needs no write."""
    with store.read() as conn:
        first_id = conn.scalar(select(func.min(events.c.id))) or 0
        last = select(func.min(search_hours.c.last_id))
        oldest = conn.scalar(last)
    if oldest is not None and oldest < first_id:
        with store.write(durable=False) as conn:
            forget_hours(conn)
            merge_old_hours(conn, utc_now())
