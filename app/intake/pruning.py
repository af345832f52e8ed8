"""Choose envelopes in a read, then check and remove them in batches under the writer lock.

    candidates()   reads pages along an index without the lock, so that choosing blocks no writer
    remove()       one transaction per batch: removes the envelopes that may still be removed, with
                   their events, attachments, feedback and delivery attempts

Removals are not synced to the disk. If a power cut restores rows, the next run removes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, delete, exists, func, select, tuple_, update

from app.delivery import accounting
from app.delivery.months import move_months
from app.delivery.outcomes import owe_reports
from app.delivery.tables import attempts
from app.events.states import EnvelopeState
from app.events.tables import envelopes, events
from app.intake import project_bytes
from app.issues.tables import issues
from app.search.indexing import forget_events
from app.signals import state as signals
from app.stats import environments
from app.store import Store

# The states of envelopes that do not have to be sent any more.
SETTLED = (
    EnvelopeState.LOCAL,
    EnvelopeState.DELIVERED,
    EnvelopeState.DISCARDED,
    EnvelopeState.DEMO,
)
# States of envelopes that Sentry never accepted. A person may replay them until they are too old.
GIVEN_UP = (EnvelopeState.PARKED, EnvelopeState.EXPIRED)
MAY_GO = (*SETTLED, *GIVEN_UP)
TOO_OLD = "too_old"

# The bounds of one transaction: envelopes, their rows in all tables, and bytes, because SQLite adds
# each freed page to its list of free pages. With these bounds it holds the store's only writer for
# less than 10 ms (`benchmarks/pruning.py`).
BATCH_SIZE = 100
BATCH_ROWS = 400
BATCH_BYTES = 4 * 1024 * 1024
# How many envelopes one query reads.
PAGE_SIZE = 2000

_THE_FIRST = (datetime(1, 1, 1, tzinfo=UTC), 0)

Progress = Callable[[int], None]


class Candidate(NamedTuple):
    """An envelope that may be removed.

    :param rows: how many rows are removed with it, including its own.
    :param size_bytes: the size of the envelope before compression.
    """

    id: int
    rows: int
    size_bytes: int


class Removed(NamedTuple):
    """The result of one transaction: the number of envelopes, and the issues of their events."""

    envelopes: int
    issue_ids: list[int]


def candidates(
    store: Store,
    *,
    project_id: int | None = None,
    before: datetime | None = None,
    states: tuple[str, ...] = SETTLED,
    repeats_only: bool = False,
    events_only: bool = False,
) -> Iterator[Candidate]:
    """Yield envelopes that may be removed, oldest first.

    :param project_id: only envelopes of this project.
    :param before: only envelopes received before this time.
    :param states: only envelopes in one of these states.
    :param repeats_only: leave out the first and the last event of every issue.
    :param events_only: leave out envelopes without an event.
    """
    query = _page(project_id, before)
    after = _THE_FIRST
    while True:
        with store.read() as conn:
            page = conn.execute(query, {"at": after[0], "id": after[1]}).all()
        for row in page:
            is_wanted = row.has_event or not events_only
            if row.state in states and is_wanted and (row.is_repeat or not repeats_only):
                yield Candidate(row.id, 2 + row.attempts, row.size_bytes)
        if len(page) < PAGE_SIZE:
            return
        after = page[-1].received_at, page[-1].id


def remove(
    store: Store,
    chosen: Iterable[Candidate],
    progress: Progress = lambda count: None,
    at_most: int | None = None,
) -> int:
    """Remove envelopes with their events in batches, and return how many were removed.

    An envelope that has to be sent again since it was chosen stays.

    :param progress: called after each batch with the number of envelopes it removed.
    :param at_most: how many envelopes to remove at most.
    """
    return sum(remove_ids(store, ids, progress) for ids in in_batches(islice(chosen, at_most)))


def remove_ids(store: Store, ids: list[int], progress: Progress = lambda count: None) -> int:
    """Remove one batch of envelopes in a separate transaction, see :func:`remove_batch`."""
    with store.write(durable=False) as conn:
        count = remove_batch(conn, ids).envelopes
    if count:
        progress(count)
    return count


def remove_batch(conn: Connection, ids: list[int]) -> Removed:
    """Remove those of the envelopes that may be removed, with their events. The caller commits.

    :return: how many envelopes were removed, and the issues of their events.
    """
    rows: Sequence[Any] = conn.execute(_STILL_THERE, {"ids": ids}).all()
    if not rows:
        return Removed(0, [])
    _give_up(conn, [row for row in rows if row.state in GIVEN_UP])
    going = {"ids": [row.id for row in rows]}
    touched = conn.execute(_EVENTS_BY_ISSUE, going).all()
    if touched:
        conn.execute(_FEWER_EVENTS, [{"of": of, "fewer": count} for of, count in touched])
        gone = list(conn.scalars(_REMOVE_EVENTS, going))
        forget_events(conn, gone, [issue_id for issue_id, _ in touched])
    delete_envelopes(conn, going["ids"])
    return Removed(len(rows), [issue_id for issue_id, _ in touched])


def delete_envelopes(conn: Connection, ids: list[int], states: tuple[str, ...] = MAY_GO) -> None:
    """Delete envelopes whose events are removed, and update the counters.

    This is the only place that deletes rows of envelopes, so that no counter is left out.

    :param states: an envelope in any other state stays.
    """
    gone = conn.execute(_REMOVE_ENVELOPES, {"ids": ids, "states": states}).all()
    environments.step_back(conn)
    signals.step_back(conn)
    change = project_bytes.Change()
    for _, project_id, taken, attached, *_ in gone:
        change.count(project_id, -taken, -attached)
    project_bytes.add(conn, change)
    note_removed_files(conn, [(row.project_id, row.event_id) for row in gone if row.attached])
    accounting.add_pruned(
        conn, (EnvelopeState.DISCARDED if row[0] in GIVEN_UP else row[0] for row in gone)
    )


def note_removed_files(conn: Connection, of: Iterable[tuple[int, str | None]]) -> None:
    """Mark events that stay: their attachments were removed.

    :param of: project id and event id of the envelopes that lose their attachments.
    """
    rows = [{"of_project": project, "of_event": event_id} for project, event_id in of if event_id]
    if rows:
        conn.execute(_FILES_REMOVED, rows)


def _give_up(conn: Connection, rows: Sequence[Any]) -> None:
    """Count envelopes that Sentry never accepted, and that nobody replayed, as discarded."""
    discarded = accounting.counter_of(EnvelopeState.DISCARDED, TOO_OLD)
    accounting.move(conn, ((accounting.counter_of(row.state), discarded) for row in rows))
    move_months(conn, ((row, EnvelopeState.DISCARDED, TOO_OLD) for row in rows))
    owe_reports(conn, [(row, TOO_OLD) for row in rows])


def in_batches(chosen: Iterable[Candidate]) -> Iterator[list[int]]:
    """Yield the ids of candidates in batches that one transaction may remove."""
    ids: list[int] = []
    rows = size_bytes = 0
    for envelope in chosen:
        is_full = len(ids) == BATCH_SIZE or rows + envelope.rows > BATCH_ROWS
        if ids and (is_full or size_bytes + envelope.size_bytes > BATCH_BYTES):
            yield ids
            ids, rows, size_bytes = [], 0, 0
        ids.append(envelope.id)
        rows += envelope.rows
        size_bytes += envelope.size_bytes
    if ids:
        yield ids


def _page(project_id: int | None, before: datetime | None) -> Any:
    """Return a query for the next page: along the index of a project, or else by id."""
    columns = envelopes.c
    at: Any = bindparam("at", type_=columns.received_at.type)
    row_id: Any = bindparam("id", type_=columns.id.type)
    page = select(columns.id, columns.received_at, columns.state, columns.size_bytes)
    if project_id is None:
        page = page.where(columns.id > row_id).order_by(columns.id)
    else:
        is_next = tuple_(columns.received_at, columns.id) > tuple_(at, row_id)
        page = page.where(columns.project_id == project_id, is_next)
        page = page.order_by(columns.received_at, columns.id)
    if before is not None:
        page = page.where(columns.received_at < before)
    some = page.limit(PAGE_SIZE).subquery()
    order = (some.c.id,) if project_id is None else (some.c.received_at, some.c.id)
    tried = select(func.count()).where(attempts.c.envelope_id == some.c.id)
    return (
        select(
            some,
            events.c.id.is_not(None).label("has_event"),
            (events.c.id.is_(None) | _is_repeat()).label("is_repeat"),
            tried.scalar_subquery().label("attempts"),
        )
        .outerjoin(events, events.c.envelope_id == some.c.id)
        .order_by(*order)
    )


def _is_repeat() -> Any:
    """Match events that are neither the first nor the last event of their issue."""
    other = events.alias()
    same_issue = other.c.issue_id == events.c.issue_id
    return and_(
        exists().where(same_issue, other.c.id < events.c.id),
        exists().where(same_issue, other.c.id > events.c.id),
    )


_IDS: Any = bindparam("ids", expanding=True)
_STILL_THERE = select(
    envelopes.c.id,
    envelopes.c.project_id,
    envelopes.c.item_types,
    envelopes.c.state,
    envelopes.c.reason,
    envelopes.c.received_at,
).where(envelopes.c.id.in_(_IDS), envelopes.c.state.in_(MAY_GO))
_EVENTS_BY_ISSUE = (
    select(events.c.issue_id, func.count())
    .where(events.c.envelope_id.in_(_IDS))
    .group_by(events.c.issue_id)
)
_FEWER_EVENTS = (
    update(issues)
    .where(issues.c.id == bindparam("of"))
    .values(stored_event_count=issues.c.stored_event_count - bindparam("fewer"))
)
_REMOVE_EVENTS = delete(events).where(events.c.envelope_id.in_(_IDS)).returning(events.c.id)
_REMOVE_ENVELOPES = (
    delete(envelopes)
    .where(envelopes.c.id.in_(_IDS))
    .where(envelopes.c.state.in_(bindparam("states", expanding=True)))
    .returning(envelopes.c.state, *project_bytes.RETURNED, envelopes.c.event_id)
)
_FILES_REMOVED = (
    update(events)
    .where(events.c.project_id == bindparam("of_project"))
    .where(events.c.event_id == bindparam("of_event"))
    .values(attachments_removed=True)
)
