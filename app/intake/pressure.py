"""Making room at once: what goes while the store is nearly full.

The project with the most bytes over its share pays first, with its settled envelopes, oldest
first, until the store is at 90 % of its bound. A project within its share loses nothing while
another one is beyond its own, also where nothing of that one can go because it waits for delivery.
Where none is beyond its share, all together are, and those with the most make room.

With its last event an issue goes that nobody decided anything about, since a flood of errors of
which each is new fills the store with issues, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, delete, exists, select

from app.events.tables import envelopes, events
from app.intake.attachment_budget import trim_attachments
from app.intake.project_bytes import TAKEN
from app.intake.pruning import SETTLED, remove_batch
from app.intake.store_bound import PRUNE_AT, PRUNE_TO, WAL_BYTES, State, measure
from app.issues.decided import is_decided
from app.issues.tables import IssueStatus, issues
from app.issues.triage import delete as mark_deleted
from app.stats.tables import affected_days, affected_users
from app.stats.users import ISSUE
from app.store import Store, first_within
from app.store.paging import hidden

# Of one transaction, so that a capture that comes meanwhile hardly notices.
BATCH_SIZE = 100
BATCH_BYTES = 4 * 1024**2
# An issue with more users than this is marked as deleted, and removed in batches later.
FEW_USERS = 50

Progress = Callable[[int], None]


def relieve(store: Store, limit: int, progress: Progress = lambda count: None) -> int:
    """Make room if the store is nearly full, and return how many envelopes went.

    Files beyond their own budget go first, whatever else the store has.

    :param limit: MAX_STORE_BYTES; 0 means no limit.
    :param progress: called after every transaction with the number that went.
    """
    trimmed = trim_attachments(store, limit)
    state = measure(store, limit)
    if not limit or state.fullness < PRUNE_AT:
        _tidy(store, trimmed)
        return 0
    gone = 0
    cursors: dict[int, Iterator[list[int]]] = {}
    spent: set[int] = set()
    while state.fullness > PRUNE_TO:
        payer = payer_of(state, spent)
        if payer is None:
            break
        batches = cursors.setdefault(payer, _batches(store, payer))
        ids = next(batches, None)
        if ids is None:
            spent.add(payer)
            continue
        _remove(store, ids)
        gone += len(ids)
        progress(len(ids))
        state = measure(store, limit)
    _tidy(store, gone + trimmed)
    return gone


def payer_of(state: State, spent: set[int]) -> int | None:
    """Return the project that has to make room, ``None`` where nobody has to.

    :param spent: projects that have nothing left that may go.
    """
    share, number = state.share(), max(1, len(state.projects))
    # Shares add up to the bound and more: the room that is wanted may have to come from projects
    # within their own, and with many active projects from ones that have less than the smallest.
    for floor in (share, PRUNE_TO * share, PRUNE_TO * state.limit / number):
        payers = {project for project in state.projects if state.taken_by(project) > floor}
        if payers:
            return max(payers - spent, key=state.taken_by, default=None)
    return None


def _batches(store: Store, project_id: int) -> Iterator[list[int]]:
    """Yield ids of a project's settled envelopes, oldest first, read outside the writer's lock.

    Each state is read along its index from where the last batch ended, so that a run passes every
    row once at most.
    """
    after: dict[str, int] = dict.fromkeys(SETTLED, 0)
    while True:
        found: list[tuple[int, int, str]] = []
        with store.read() as conn:
            for state, last in after.items():
                query = select(envelopes.c.id, TAKEN, envelopes.c.state)
                query = query.where(envelopes.c.state == state, envelopes.c.id > last)
                query = query.where(envelopes.c.project_id == project_id)
                rows = conn.execute(query.order_by(envelopes.c.id).limit(BATCH_SIZE))
                found += [(row[0], row[1], row[2]) for row in rows]
        batch = first_within(sorted(found)[:BATCH_SIZE], BATCH_BYTES, lambda row: row[1])
        if not batch:
            return
        after |= {state: envelope_id for envelope_id, _, state in batch}
        yield [envelope_id for envelope_id, _, _ in batch]


def _remove(store: Store, envelope_ids: list[int]) -> None:
    with store.write() as conn:
        _remove_undecided(conn, remove_batch(conn, envelope_ids).issue_ids)


def _remove_undecided(conn: Connection, issue_ids: list[int]) -> None:
    """Remove issues without an event that nobody decided anything about."""
    has_event = exists().where(events.c.issue_id == issues.c.id)
    empty = select(issues.c.id, issues.c.users).where(issues.c.id.in_(issue_ids))
    # What was plainly resolved stays until it is old, so that it is regressed if it comes back.
    # Hidden, as in ``triage``: an index of it would lead past every issue there is.
    is_open = hidden(issues.c.status) == IssueStatus.UNRESOLVED
    empty = empty.where(is_open, ~is_decided(), ~has_event)
    rows = conn.execute(empty).all()
    mark_deleted(conn, [row.id for row in rows if row.users > FEW_USERS])
    small = [row.id for row in rows if row.users <= FEW_USERS]
    for table in (affected_days, affected_users):
        conn.execute(delete(table).where(table.c.kind == ISSUE, table.c.of_id.in_(small)))
    conn.execute(delete(issues).where(issues.c.id.in_(small)))


def _tidy(store: Store, gone: int) -> None:
    """Have the space that was freed used again, and keep the write-ahead log within its bound."""
    if store.is_sqlite:
        if store.wal_bytes() > WAL_BYTES:
            store.maintain("PRAGMA wal_checkpoint(TRUNCATE)")
    elif gone:
        store.maintain("VACUUM envelopes, events, issues")
