"""Move the events of an issue to another issue in batches, after a merge or an unmerge.

    finish_moves   oldest move first ── batches of its events, each event with its counts
                   └─ none left ── counts that need all events ── the move is done

After a merge, only the events move: the counts were moved before. After an unmerge, the tags, the
hour and the user of each event move with it, and the feedback about it. They are read from the
payload of the event.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, delete, select, update

from app.events.queries import read_stored
from app.events.tables import envelopes, events
from app.issues.counting import count_tags, take_tags
from app.issues.ignoring import count_after_unmerge
from app.issues.over_time import Hours, add_hours, take_hours
from app.issues.search_marks import mark_stale
from app.issues.tables import feedback, issue_moves, issue_similarity, issues, transitions
from app.issues.user_moves import add_users, recount_users
from app.protocol.event import Event
from app.stats.users import hash_of
from app.stats.windows import hour_number
from app.store import Store

# Events that are moved in one transaction: without their counts, and with their counts.
BATCH_SIZE = 1000
BATCH_READ = 100

_EVENTS = events.c


class _Read(NamedTuple):
    """An event that moves to another issue after an unmerge.

    :param at: when it happened.
    :param user_hash: the hash of the affected user, empty without a user.
    """

    id: int
    event: Event
    at: datetime
    stored_at: datetime
    user_hash: str
    release: str | None


def finish_moves(store: Store, at_most: int | None = None) -> bool:
    """Move the events of merged and unmerged issues, oldest move first.

    :param at_most: the largest number of batches; the next call continues after them.
    :return: whether nothing is left to move.
    """
    batches = 0
    while move := _oldest(store):
        for _ in _batches_of(store, move):
            batches += 1
            if batches == at_most:
                return False
        _finish(store, move)
    return True


def moving_issues(conn: Connection, issue_ids: Collection[int]) -> list[int]:
    """Return the ids, sorted, of these issues that events are still moving to or from."""
    ends = issue_moves.c.from_issue_id, issue_moves.c.to_issue_id
    found = {
        number for end in ends for number in conn.scalars(select(end).where(end.in_(issue_ids)))
    }
    return sorted(found)


def _oldest(store: Store) -> Row[Any] | None:
    with store.read() as conn:
        return conn.execute(select(issue_moves).order_by(issue_moves.c.id).limit(1)).first()


def _batches_of(store: Store, move: Row[Any]) -> Iterator[int]:
    """Move the events of a move in batches, and yield the size of each batch."""
    if move.grouping_id is None:
        while moved := _move_all(store, move):
            yield moved
        return
    yield from _read_users(store, move.from_issue_id)
    after = 0
    while some := _move_some(store, move, after):
        after = some[-1]
        yield len(some)


def _move_all(store: Store, move: Row[Any]) -> int:
    """Move a batch of a merged issue's events, and return its size."""
    some = select(_EVENTS.id).where(_EVENTS.issue_id == move.from_issue_id)
    with store.write(durable=False) as conn:
        if not _is_pending(conn, move):
            return 0
        ids = list(conn.scalars(some.order_by(_EVENTS.id).limit(BATCH_SIZE)))
        if ids:
            moving = update(events).where(_EVENTS.id.in_(ids))
            conn.execute(moving.values(issue_id=move.to_issue_id))
            _add(conn, move.from_issue_id, stored_event_count=-len(ids))
            _add(conn, move.to_issue_id, stored_event_count=len(ids))
    return len(ids)


def _is_pending(conn: Connection, move: Row[Any]) -> bool:
    """Return whether a move is still to be done: another process may have finished it.

    The whole row is compared, because SQLite reuses the ids of deleted rows.
    """
    found = conn.execute(select(issue_moves).where(issue_moves.c.id == move.id)).first()
    return found is not None and tuple(found) == tuple(move)


def _move_some(store: Store, move: Row[Any], after: int) -> list[int]:
    """Move a batch of a grouping's events with their counts, and return their row ids.

    :param after: the last row id of the previous batch, so that no row is read twice.
    """
    with store.read() as conn:
        read = _read_events(conn, and_(_of_move(move), _EVENTS.id > after))
    if not read:
        return []
    with store.write(durable=False) as conn:
        if not _is_pending(conn, move):
            return []
        still = set(conn.scalars(_still(move, [event.id for event in read])))
        _take_along(conn, move, [event for event in read if event.id in still])
    return [event.id for event in read]


def _of_move(move: Row[Any]) -> Any:
    is_there = _EVENTS.issue_id == move.from_issue_id
    return and_(is_there, _EVENTS.grouping_id == move.grouping_id)


def _still(move: Row[Any], ids: list[int]) -> Any:
    return select(_EVENTS.id).where(_EVENTS.id.in_(ids), _of_move(move))


def _read_events(conn: Connection, condition: Any) -> list[_Read]:
    query = select(
        _EVENTS.id,
        _EVENTS.event_id,
        _EVENTS.received_at,
        _EVENTS.timestamp,
        _EVENTS.stored_at,
        _EVENTS.release,
        envelopes.c.body,
    )
    query = query.join(envelopes, envelopes.c.id == _EVENTS.envelope_id).where(condition)
    return [_read(row) for row in conn.execute(query.order_by(_EVENTS.id).limit(BATCH_READ))]


def _read(row: Any) -> _Read:
    event = read_stored(row.body, row.event_id, row.received_at)[0]
    identity = event.user_identity
    who = hash_of(identity) if identity else ""
    return _Read(row.id, event, row.timestamp, row.stored_at, who, row.release)


def _take_along(conn: Connection, move: Row[Any], moved: list[_Read]) -> None:
    if not moved:
        return
    source, target = move.from_issue_id, move.to_issue_id
    ids = [event.id for event in moved]
    conn.execute(update(events).where(_EVENTS.id.in_(ids)).values(issue_id=target))
    count = {"times_seen": len(moved), "stored_event_count": len(moved)}
    _add(conn, source, **{name: -number for name, number in count.items()})
    _add(conn, target, **count)
    taken, added = Hours(), Hours()
    for event in moved:
        taken.count(source, event.at, event.stored_at)
        added.count(target, event.at, event.stored_at)
    take_hours(conn, source, taken)
    add_hours(conn, added)
    take_tags(conn, source, [event.event for event in moved])
    count_tags(conn, [(target, event.event) for event in moved])
    add_users(conn, target, ((event.user_hash, hour_number(event.at)) for event in moved))
    _take_what_is_about(conn, move, [event.event.event_id for event in moved])


def _take_what_is_about(conn: Connection, move: Row[Any], event_ids: list[str]) -> None:
    """Move the feedback about events, and the ``first_seen`` rows that they caused."""
    said, history = feedback.c, transitions.c
    is_about = said.issue_id == move.from_issue_id, said.associated_event_id.in_(event_ids)
    conn.execute(update(feedback).where(*is_about).values(issue_id=move.to_issue_id))
    is_first = history.issue_id == move.from_issue_id, history.kind == "first_seen"
    of_them = update(transitions).where(*is_first, history.event_id.in_(event_ids))
    conn.execute(of_them.values(issue_id=move.to_issue_id))


def _add(conn: Connection, issue_id: int, **more: int) -> None:
    values = {name: issues.c[name] + number for name, number in more.items()}
    conn.execute(update(issues).where(issues.c.id == issue_id).values(**values))


def _finish(store: Store, move: Row[Any]) -> None:
    with store.write(durable=False) as conn:
        if not _is_pending(conn, move):
            return
        source, target = move.from_issue_id, move.to_issue_id
        if move.grouping_id is None:
            # Feedback may have arrived while its event was still moving.
            late = update(feedback).where(feedback.c.issue_id == source)
            conn.execute(late.values(issue_id=target))
        else:
            _recount(conn, source, target)
        _read_terms_again(conn, (source, target))
        mark_stale(conn, (source, target))
        conn.execute(delete(issue_moves).where(issue_moves.c.id == move.id))


def _read_terms_again(conn: Connection, issue_ids: tuple[int, ...]) -> None:
    """Mark the similarity terms of issues as stale, because their events have changed."""
    has_events = select(issues.c.id).where(
        issues.c.id.in_(issue_ids), issues.c.stored_event_count > 0
    )
    stale = update(issue_similarity).where(issue_similarity.c.issue_id.in_(has_events))
    # Version 0 makes the background task read them again.
    conn.execute(stale.values(version=0))


def _recount(conn: Connection, source_id: int, target_id: int) -> None:
    """Recompute the values that need all events of both issues: users, days, releases, title."""
    recount_users(conn, source_id, target_id)
    count_after_unmerge(conn, source_id)
    for issue_id in (source_id, target_id):
        row = conn.execute(select(issues).where(issues.c.id == issue_id)).one()
        values = _words_of(conn, issue_id)
        if row.times_seen == row.stored_event_count or issue_id == target_id:
            values |= _releases_of(conn, issue_id)
        if values:
            conn.execute(update(issues).where(issues.c.id == issue_id).values(**values))


def _words_of(conn: Connection, issue_id: int) -> dict[str, Any]:
    query = select(_EVENTS.title, _EVENTS.culprit, _EVENTS.level, _EVENTS.event_id)
    query = query.add_columns(_EVENTS.received_at, envelopes.c.body)
    query = query.join(envelopes, envelopes.c.id == _EVENTS.envelope_id)
    newest = query.where(_EVENTS.issue_id == issue_id).order_by(_EVENTS.id.desc()).limit(1)
    row = conn.execute(newest).first()
    if row is None:
        return {}
    event = read_stored(row.body, row.event_id, row.received_at)[0]
    return {
        "title": row.title,
        "culprit": row.culprit,
        "level": row.level,
        "type": event.type[:200],
    }


def _releases_of(conn: Connection, issue_id: int) -> dict[str, str | None]:
    named = select(_EVENTS.release).where(_EVENTS.issue_id == issue_id)
    first = conn.execute(named.order_by(_EVENTS.id).limit(1)).scalar()
    is_named = named.where(_EVENTS.release.is_not(None))
    last = conn.execute(is_named.order_by(_EVENTS.id.desc()).limit(1)).scalar()
    return {"first_release": first, "last_release": last}


def _read_users(store: Store, issue_id: int) -> Iterator[int]:
    """Set the user hash of an issue's events that are older than the column, in batches."""
    is_unknown = and_(_EVENTS.issue_id == issue_id, _EVENTS.user_hash.is_(None))
    after = 0
    while True:
        with store.read() as conn:
            read = _read_events(conn, and_(is_unknown, _EVENTS.id > after))
        if not read:
            return
        with store.write(durable=False) as conn:
            _note_users(conn, read)
        after = read[-1].id
        yield len(read)


def _note_users(conn: Connection, read: Iterable[_Read]) -> None:
    for event in read:
        of_event = update(events).where(_EVENTS.id == event.id)
        conn.execute(of_event.values(user_hash=event.user_hash))
