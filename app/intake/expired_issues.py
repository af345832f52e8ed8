"""Remove issues that were not seen for a long time, and issues that a person deleted.

    expire()         deletes an issue without events that is older than its project keeps issues.
                     If a person made a decision about it, a row without personal data stays
    purge_deleted()  removes the rows of deleted issues, table by table, the issue last

Both work in small batches. A read finds the rows. The transaction checks the conditions again, for
the chosen issues only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    select,
    tuple_,
    update,
)

from app.delivery.tables import issue_deliveries
from app.events.tables import envelopes, events
from app.intake import pruning
from app.intake.pruning import SETTLED, Candidate
from app.issues import triage
from app.issues.decided import is_decided, title_without_data
from app.issues.groupings import forget_keys, latest_groupings
from app.issues.tables import (
    DELETED,
    STATUSES,
    feedback,
    issue_days,
    issue_hours,
    issue_moves,
    issue_similarity,
    issue_tags,
    issue_terms,
    issues,
    transitions,
)
from app.search.indexing import forget_events, forget_issues
from app.stats.tables import affected_days, affected_users
from app.stats.users import ISSUE
from app.store import Store, in_batches

# How many rows without payload a project keeps; about 4 MB.
MAX_KEPT = 10_000
# How many issues one transaction changes or removes. Each has rows in nine tables.
BATCH_ISSUES = 25
PAGE_SIZE = 1000

_COLUMNS = issues.c
_THE_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LEADING = issues.alias()
_DELETED = (
    select(_COLUMNS.id)
    # Issues that were merged into an issue are removed before it, with any events they still have.
    # An issue also waits for unfinished moves of events. Events that a person moves out of an issue
    # are in the old issue until the move ends, so neither issue is removed before.
    .where(
        _COLUMNS.status == DELETED,
        ~exists().where(_LEADING.c.merged_into == _COLUMNS.id),
        *(
            ~exists().where(end == _COLUMNS.id, issue_moves.c.grouping_id.is_not(None))
            for end in (issue_moves.c.from_issue_id, issue_moves.c.to_issue_id)
        ),
    )
    .order_by(_COLUMNS.last_seen, _COLUMNS.id)
)
# The tables with data from clients. Terms come before the rows that they point at.
_OF_CLIENTS = (
    issue_hours,
    issue_days,
    issue_tags,
    issue_terms,
    issue_similarity,
    issue_deliveries,
)


def expire(store: Store, project_id: int, before: datetime, now: datetime) -> None:
    """Delete issues of a project that have no events and whose last event is too old.

    An issue that a person made a decision about keeps a row. A project keeps at most MAX_KEPT of
    them.

    :param before: issues whose last event came before this time are deleted.
    :param now: the time written to the rows that stay.
    """
    is_over = _is_over(project_id, before)
    for rows in _pages(store, project_id, before):
        going = [row.id for row in rows if not row.is_decided]
        for ids in in_batches(going, BATCH_ISSUES):
            with store.write(durable=False) as conn:
                triage.delete(conn, _still(conn, ids, *is_over, ~is_decided()))
        for some in in_batches([row for row in rows if row.is_decided], BATCH_ISSUES):
            _keep_rows(store, some, is_over, now)
    _bound_kept(store, project_id)


def purge_deleted(store: Store, at_most: int | None = None) -> int:
    """Remove the rows of deleted issues and return how many batches that took.

    An envelope that still waits for delivery stays, although its event is removed.

    :param at_most: how many batches to remove at most. The next run continues.
    """
    batches = 0
    while at_most is None or batches < at_most:
        with store.read() as conn:
            ids = list(conn.scalars(_DELETED.limit(BATCH_ISSUES)))
            payloads = _envelopes_of(conn, ids) if ids else []
        if not ids:
            break
        with store.write(durable=False) as conn:
            if payloads:
                _remove_payloads(conn, payloads)
            elif _remove_rows(conn, (*_OF_CLIENTS, transitions), ids):
                forget_issues(conn, ids)
                conn.execute(delete(issues).where(_COLUMNS.id.in_(ids)))
        batches += 1
    return batches


def _pages(store: Store, project_id: int, before: datetime) -> Iterator[list[Row[Any]]]:
    """Yield pages of expired issues. Each status is read along its index."""
    named = _COLUMNS.id, _COLUMNS.last_seen, _COLUMNS.type
    query = select(*named, is_decided().label("is_decided")).where(*_is_over(project_id, before))
    order = _COLUMNS.last_seen, _COLUMNS.id
    for status in STATUSES:
        after = (_THE_FIRST, 0)
        while True:
            end = tuple_(
                literal(after[0], _COLUMNS.last_seen.type), literal(after[1], _COLUMNS.id.type)
            )
            page = query.where(_COLUMNS.status == status, tuple_(*order) > end)
            with store.read() as conn:
                rows = list(conn.execute(page.order_by(*order).limit(PAGE_SIZE)))
            yield rows
            if len(rows) < PAGE_SIZE:
                break
            after = rows[-1].last_seen, rows[-1].id


def _is_over(project_id: int, before: datetime) -> tuple[ColumnElement[bool], ...]:
    received = func.coalesce(_COLUMNS.last_received_at, _COLUMNS.last_seen)
    return (
        _COLUMNS.project_id == project_id,
        _COLUMNS.status.in_(STATUSES),
        _COLUMNS.stored_event_count == 0,
        _COLUMNS.payload_removed_at.is_(None),
        # Its events may still be moved to it.
        ~exists().where(issue_moves.c.to_issue_id == _COLUMNS.id),
        # User feedback about it is removed with its envelope.
        ~exists().where(feedback.c.issue_id == _COLUMNS.id),
        # An event cannot happen after it was received, so the index finds all expired issues, and
        # perhaps more. An event that happened long ago but was received today keeps its issue.
        _COLUMNS.last_seen < before,
        received < before,
    )


def _keep_rows(
    store: Store, rows: list[Row[Any]], is_over: tuple[ColumnElement[bool], ...], now: datetime
) -> None:
    """Remove the data of clients from issues, and keep the decisions of people."""
    ids = [row.id for row in rows]
    with store.read() as conn:
        latest = latest_groupings(conn, ids)
    keys = {issue_id: grouping.key for issue_id, grouping in latest.items()}
    values = [
        {"of": row.id, "words": title_without_data(row.type, keys.get(row.id, ""))} for row in rows
    ]
    is_whole = False
    while not is_whole:
        with store.write(durable=False) as conn:
            there = _still(conn, ids, *is_over)
            if not there:
                return
            is_whole = _remove_rows(conn, _OF_CLIENTS, there) and _forget_events(conn, there)
            if is_whole:
                still = set(there)
                conn.execute(
                    _KEEP.values(payload_removed_at=now),
                    [value for value in values if value["of"] in still],
                )
                forget_keys(conn, still)
                forget_issues(conn, there)


_KEEP = (
    update(issues)
    .where(_COLUMNS.id == bindparam("of"))
    .values(title=bindparam("words"), culprit="")
)


def _bound_kept(store: Store, project_id: int) -> None:
    """Delete the oldest kept rows that exceed MAX_KEPT."""
    at = _COLUMNS.payload_removed_at
    of_project = _COLUMNS.project_id == project_id, at.is_not(None), _COLUMNS.status.in_(STATUSES)
    beyond = select(_COLUMNS.id).where(*of_project).order_by(at.desc(), _COLUMNS.id.desc())
    with store.read() as conn:
        ids = list(conn.scalars(beyond.offset(MAX_KEPT)))
    for some in in_batches(ids, BATCH_ISSUES):
        with store.write(durable=False) as conn:
            triage.delete(conn, _still(conn, some, at.is_not(None)))


def _still(conn: Connection, ids: list[int], *conditions: ColumnElement[bool]) -> list[int]:
    """Return those of the issues for which the conditions hold.

    The conditions are selected as a column. In a WHERE clause, SQLite would use the index by status
    and time, which takes 100 ms of CPU among 500,000 issues.
    """
    holds = and_(*conditions).label("holds")
    rows = conn.execute(select(_COLUMNS.id, holds).where(_COLUMNS.id.in_(ids)))
    return [row.id for row in rows if row.holds]


def _remove_rows(conn: Connection, tables: Sequence[Table], ids: list[int]) -> bool:
    """Remove rows of issues, up to the limit of one transaction. Return whether all are removed."""
    left = pruning.BATCH_ROWS
    found: list[tuple[Table, tuple[ColumnElement[bool], ...]]] = [
        (table, (table.c.kind == ISSUE, table.c.of_id.in_(ids)))
        for table in (affected_users, affected_days)
    ]
    found += [(table, (table.c.issue_id.in_(ids),)) for table in tables]
    for table, condition in found:
        key = tuple(table.primary_key)
        some = select(*key).where(*condition).limit(left)
        which = key[0].in_(some) if len(key) == 1 else tuple_(*key).in_(some)
        left -= conn.execute(delete(table).where(which)).rowcount
        if left <= 0:
            return False
    return True


def _forget_events(conn: Connection, ids: list[int]) -> bool:
    """Remove the ids of events from the history. Return whether all are removed."""
    named = transitions.c.issue_id.in_(ids), transitions.c.event_id.is_not(None)
    some = select(transitions.c.id).where(*named).limit(pruning.BATCH_ROWS)
    changing = update(transitions).where(transitions.c.id.in_(some)).values(event_id=None)
    return conn.execute(changing).rowcount < pruning.BATCH_ROWS


def _envelopes_of(conn: Connection, issue_ids: list[int]) -> list[int]:
    """Return a batch of envelopes of issues: those of their events, then those of user feedback."""
    sized = select(envelopes.c.id, literal(2), envelopes.c.size_bytes)
    of_events = sized.join(events, events.c.envelope_id == envelopes.c.id)
    of_events = of_events.where(events.c.issue_id.in_(issue_ids)).order_by(events.c.id)
    # Feedback that came with an event is removed with that event, which may be of another issue.
    has_event = exists().where(events.c.envelope_id == feedback.c.envelope_id)
    of_feedback = sized.join(feedback, feedback.c.envelope_id == envelopes.c.id)
    of_feedback = of_feedback.where(feedback.c.issue_id.in_(issue_ids), ~has_event)
    for query in (of_events, of_feedback):
        found = [Candidate(*row) for row in conn.execute(query.limit(pruning.BATCH_SIZE))]
        if found:
            return next(pruning.in_batches(found))
    return []


def _remove_payloads(conn: Connection, envelope_ids: list[int]) -> None:
    is_there = events.c.envelope_id.in_(envelope_ids)
    gone = conn.scalars(delete(events).where(is_there).returning(events.c.id))
    # The documents of their issues go with the issues.
    forget_events(conn, list(gone), [])
    conn.execute(delete(feedback).where(feedback.c.envelope_id.in_(envelope_ids)))
    pruning.delete_envelopes(conn, envelope_ids, SETTLED)
