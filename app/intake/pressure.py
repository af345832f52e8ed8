"""Make room at once when the store is nearly full.

The project with the most bytes over its share pays first. Its oldest envelopes are removed until
the store is at 90 % of its bound. Envelopes that still have to be sent stay. A project within its
share loses nothing while another project exceeds its own share, even if nothing of that project can
be removed because it waits for delivery. If no project exceeds its share, all of them together fill
the store, and the projects with the most bytes make room.

An issue is removed with its last event, unless a person made a decision about it. A flood of
errors that are all new fills the store with issues, too.
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
from app.search.indexing import forget_issues
from app.stats.tables import affected_days, affected_users
from app.stats.users import ISSUE
from app.store import Store, first_within
from app.store.paging import hidden
from app.store.size import wal_bytes

# The bounds of one transaction. A capture that arrives in the meantime is hardly delayed.
BATCH_SIZE = 100
BATCH_BYTES = 4 * 1024**2
# An issue with more users than this is marked as deleted. Its rows are removed later, in batches.
FEW_USERS = 50

Progress = Callable[[int], None]


def relieve(store: Store, limit: int, progress: Progress = lambda count: None) -> int:
    """Make room if the store is nearly full, and return how many envelopes were removed.

    Files that exceed the budget of attachments are removed first, however full the store is.

    :param limit: MAX_STORE_BYTES; 0 means no limit.
    :param progress: called after every transaction with the number of envelopes it removed.
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
    """Return the project that has to make room, ``None`` if no project has to.

    :param spent: projects that have nothing left that may be removed.
    """
    share, number = state.share(), max(1, len(state.projects))
    # The shares add up to the bound or more. So the room may have to come from projects within
    # their share. With many active projects, it may come from projects with less than the smallest.
    for floor in (share, PRUNE_TO * share, PRUNE_TO * state.limit / number):
        payers = {project for project in state.projects if state.taken_by(project) > floor}
        if payers:
            return max(payers - spent, key=state.taken_by, default=None)
    return None


def _batches(store: Store, project_id: int) -> Iterator[list[int]]:
    """Yield ids of a project's envelopes, oldest first, read without the writer lock.

    Envelopes that still have to be sent are left out. Each state is read along its index, from
    where the last batch ended. So a run reads every row at most once.
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
    """Remove those of the issues that have no event and no decision of a person."""
    has_event = exists().where(events.c.issue_id == issues.c.id)
    empty = select(issues.c.id, issues.c.users).where(issues.c.id.in_(issue_ids))
    # An issue that was simply resolved stays until it is old, so that it can regress.
    # The column is hidden from the planner, as in ``triage``: an index on it would read all issues.
    is_open = hidden(issues.c.status) == IssueStatus.UNRESOLVED
    empty = empty.where(is_open, ~is_decided(), ~has_event)
    rows = conn.execute(empty).all()
    mark_deleted(conn, [row.id for row in rows if row.users > FEW_USERS])
    small = [row.id for row in rows if row.users <= FEW_USERS]
    for table in (affected_days, affected_users):
        conn.execute(delete(table).where(table.c.kind == ISSUE, table.c.of_id.in_(small)))
    forget_issues(conn, small)
    conn.execute(delete(issues).where(issues.c.id.in_(small)))


def _tidy(store: Store, gone: int) -> None:
    """Make freed space usable again, and keep the write-ahead log within its bound."""
    if store.is_sqlite:
        if wal_bytes(store) > WAL_BYTES:
            store.maintain("PRAGMA wal_checkpoint(TRUNCATE)")
    elif gone:
        store.maintain("VACUUM envelopes, events, issues")
