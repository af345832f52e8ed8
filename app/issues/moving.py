"""Moving what counts for an issue to another one: users at once, events in batches.

    finish_moves   oldest move first ── batches of its events, each with what it counts for
                   └─ none left ── counts that only all events can tell ── the move is done

An event that goes to its merged issue takes nothing along, as the counts went before. One that is
taken out takes its tags, its hour and its user along, which are read from its payload.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, case, delete, func, literal, select, true, update

from app.db import Store, insert
from app.events.affected import ISSUE, affected_days, affected_users, day_number, hash_of
from app.events.queries import read_stored
from app.events.tables import envelopes, events
from app.issues.counting import Hours, add_hours, count_tags, take_hours, take_tags
from app.issues.tables import issue_moves, issues
from app.protocol.event import Event

# Events that a transaction moves: as they are, and with what each counts for.
BATCH_SIZE = 1000
BATCH_READ = 100

_USERS, _DAYS, _EVENTS = affected_users.c, affected_days.c, events.c


class _Read(NamedTuple):
    """An event that is taken out of its issue."""

    id: int
    event: Event
    at: datetime
    stored_at: datetime
    user_hash: str
    release: str | None


def finish_moves(store: Store, at_most: int | None = None) -> bool:
    """Move the events of merged and unmerged issues, oldest move first.

    :param at_most: batches; what is left then is for the next time.
    :return: whether nothing is left.
    """
    batches = 0
    while move := _oldest(store):
        for _ in _batches_of(store, move):
            batches += 1
            if batches == at_most:
                return False
        _finish(store, move)
    return True


def _oldest(store: Store) -> Row[Any] | None:
    with store.read() as conn:
        return conn.execute(select(issue_moves).order_by(issue_moves.c.id).limit(1)).first()


def _batches_of(store: Store, move: Row[Any]) -> Iterator[int]:
    """Move events in batches and yield how many each had."""
    if move.grouping_id is None:
        while moved := _move_all(store, move):
            yield moved
        return
    yield from _read_users(store, move.from_issue_id)
    after = 0
    while some := _move_some(store, move, after):
        after = some[-1]
        yield len(some)


def merge_users(conn: Connection, source_id: int, target_id: int) -> int:
    """Have an issue's users be another one's, too; return how many are new there.

    Exact as far as users are remembered; see :mod:`app.events.affected` for the bounds.
    """
    of_source = _of_issue(source_id)
    both = select(func.count()).where(*of_source, _USERS.user_hash.in_(_hashes(target_id)))
    shared = int(conn.scalar(both.select_from(affected_users)) or 0)
    users = int(conn.scalar(select(issues.c.users).where(issues.c.id == source_id)) or 0)
    _merge_days(conn, source_id, target_id)
    row = select(
        _USERS.kind, literal(target_id), _USERS.user_hash, _USERS.first_day, _USERS.last_day
    )
    _add_users(conn, row.where(*of_source))
    conn.execute(delete(affected_users).where(*of_source))
    return max(0, users - shared)


def _of_issue(issue_id: int) -> tuple[Any, ...]:
    return _USERS.kind == ISSUE, _USERS.of_id == issue_id


def _hashes(issue_id: int) -> Any:
    return select(_USERS.user_hash).where(*_of_issue(issue_id))


def _add_users(conn: Connection, rows: Any) -> None:
    # Without WHERE, SQLite takes ON CONFLICT for part of the SELECT; it has one here.
    statement = insert(conn, affected_users).from_select(affected_users.c.keys(), rows)
    new = statement.excluded
    days = {
        "first_day": case(
            (new.first_day < _USERS.first_day, new.first_day), else_=_USERS.first_day
        ),
        "last_day": case((new.last_day > _USERS.last_day, new.last_day), else_=_USERS.last_day),
    }
    key = ["kind", "of_id", "user_hash"]
    conn.execute(statement.on_conflict_do_update(index_elements=key, set_=days))


def _merge_days(conn: Connection, source_id: int, target_id: int) -> None:
    """Add up the days of two issues; of a day of both, whoever met both counts once.

    Told by the events that are stored; without them a day has at least the more of both.
    """
    by_day: dict[int, list[int]] = {}
    query = select(_DAYS.day, _DAYS.users).where(
        _DAYS.kind == ISSUE, _DAYS.of_id.in_((source_id, target_id))
    )
    for day, users in conn.execute(query):
        by_day.setdefault(day, []).append(users)
    shared = [day for day, counts in by_day.items() if len(counts) > 1]
    met = _users_by_day(conn, (source_id, target_id)) if shared else Counter()
    rows = [
        {"kind": ISSUE, "of_id": target_id, "day": day, "users": max(*counts, met[day])}
        if len(counts) > 1
        else {"kind": ISSUE, "of_id": target_id, "day": day, "users": counts[0]}
        for day, counts in by_day.items()
    ]
    _set_days(conn, (source_id, target_id), rows)


def _set_days(conn: Connection, of: tuple[int, ...], rows: list[dict[str, Any]]) -> None:
    conn.execute(delete(affected_days).where(_DAYS.kind == ISSUE, _DAYS.of_id.in_(of)))
    if rows:
        conn.execute(affected_days.insert(), rows)


def _users_by_day(conn: Connection, issue_ids: tuple[int, ...]) -> Counter[int]:
    query = select(_EVENTS.stored_at, _EVENTS.user_hash).where(_EVENTS.issue_id.in_(issue_ids))
    query = query.where(_EVENTS.user_hash != "")
    return Counter(day for day, _ in {(day_number(at), who) for at, who in conn.execute(query)})


def _move_all(store: Store, move: Row[Any]) -> int:
    """Move a batch of a merged issue's events; return how many."""
    some = select(_EVENTS.id).where(_EVENTS.issue_id == move.from_issue_id)
    with store.write(durable=False) as conn:
        ids = list(conn.scalars(some.order_by(_EVENTS.id).limit(BATCH_SIZE)))
        if ids:
            moving = update(events).where(_EVENTS.id.in_(ids))
            conn.execute(moving.values(issue_id=move.to_issue_id))
            _add(conn, move.from_issue_id, stored_event_count=-len(ids))
            _add(conn, move.to_issue_id, stored_event_count=len(ids))
    return len(ids)


def _move_some(store: Store, move: Row[Any], after: int) -> list[int]:
    """Move a batch of a grouping's events, with what they count for; return their row ids.

    :param after: the row id where the batch before ended, so that no row is passed twice.
    """
    with store.read() as conn:
        read = _read_events(conn, and_(_of_move(move), _EVENTS.id > after))
    if not read:
        return []
    with store.write(durable=False) as conn:
        still = set(conn.scalars(_still(move, [one.id for one in read])))
        _take_along(conn, move, [one for one in read if one.id in still])
    return [one.id for one in read]


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
    ids = [one.id for one in moved]
    conn.execute(update(events).where(_EVENTS.id.in_(ids)).values(issue_id=target))
    count = {"times_seen": len(moved), "stored_event_count": len(moved)}
    _add(conn, source, **{name: -number for name, number in count.items()})
    _add(conn, target, **count)
    taken, added = Hours(), Hours()
    for one in moved:
        taken.count(source, one.at, one.stored_at)
        added.count(target, one.at, one.stored_at)
    take_hours(conn, source, taken)
    add_hours(conn, added)
    take_tags(conn, source, [one.event for one in moved])
    count_tags(conn, [(target, one.event) for one in moved])
    for one in moved:
        if one.user_hash:
            day = day_number(one.stored_at)
            row = select(*map(literal, (ISSUE, target, one.user_hash, day, day))).where(true())
            _add_users(conn, row)


def _add(conn: Connection, issue_id: int, **more: int) -> None:
    values = {name: issues.c[name] + number for name, number in more.items()}
    conn.execute(update(issues).where(issues.c.id == issue_id).values(**values))


def _finish(store: Store, move: Row[Any]) -> None:
    with store.write(durable=False) as conn:
        there = conn.scalar(select(issue_moves.c.id).where(issue_moves.c.id == move.id))
        if there is None:
            return
        if move.grouping_id is not None:
            _recount(conn, move.from_issue_id, move.to_issue_id)
        conn.execute(delete(issue_moves).where(issue_moves.c.id == move.id))


def _recount(conn: Connection, source_id: int, target_id: int) -> None:
    """Count what only all events of both issues can tell: users, days, releases, and the title."""
    _forget_moved_users(conn, source_id, target_id)
    for issue_id in (source_id, target_id):
        row = conn.execute(select(issues).where(issues.c.id == issue_id)).one()
        is_whole = row.times_seen == row.stored_event_count
        values = _words_of(conn, issue_id)
        users = select(func.count()).select_from(affected_users).where(*_of_issue(issue_id))
        if is_whole or issue_id == target_id:
            values |= {"users": conn.scalar(users), **_releases_of(conn, issue_id)}
            days = _users_by_day(conn, (issue_id,))
            shape = {"kind": ISSUE, "of_id": issue_id}
            _set_days(conn, (issue_id,), [{**shape, "day": d, "users": n} for d, n in days.items()])
        if values:
            conn.execute(update(issues).where(issues.c.id == issue_id).values(**values))


def _forget_moved_users(conn: Connection, source_id: int, target_id: int) -> None:
    left = select(_EVENTS.user_hash).where(
        _EVENTS.issue_id == source_id, _EVENTS.user_hash.is_not(None)
    )
    gone = *_of_issue(source_id), _USERS.user_hash.in_(_hashes(target_id))
    forgotten = delete(affected_users).where(*gone, _USERS.user_hash.not_in(left))
    number = conn.execute(forgotten).rowcount
    _add(conn, source_id, users=-number)


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
    """Note the users of an issue's events that are older than the column, in batches."""
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
    for one in read:
        of_event = update(events).where(_EVENTS.id == one.id)
        conn.execute(of_event.values(user_hash=one.user_hash))
