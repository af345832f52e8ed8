"""Envelopes and their events: the bodies, the columns that were read from them, the accounting.

    read    a page of envelopes, by row id ── unpack, parse, erase ── without the writer's lock
    write   one short transaction a batch: body, bytes, events, search index, accounting

An envelope that waits for Sentry becomes ``discarded`` with the reason ``erased``. Nothing is
deleted: without the person, the event is still an event of the application.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, func, select, update

from app.delivery import accounting
from app.delivery.actions import DISCARDABLE
from app.delivery.months import move_months
from app.delivery.outcomes import owe_reports
from app.erasing.bodies import ATTACHMENT, Erased, erase_body
from app.erasing.person import ERASED
from app.erasing.rows import fitting
from app.erasing.task import Task
from app.events.states import EnvelopeState
from app.events.tables import envelopes, events
from app.intake import project_bytes
from app.intake.pruning import note_removed_files
from app.issues.search_marks import mark_stale
from app.issues.tables import feedback, issues
from app.protocol.event import read_event
from app.protocol.packing import pack, unpack
from app.search.indexing import index_again
from app.stats.users import hash_of
from app.store import first_within, in_batches, utc_now

REASON = "erased"
ALSO = (
    "events of the person have other identifiers of them, too (a name, id, e-mail or IP address): "
    "these went from these events only, so run this for each that you know"
)
# Envelopes of one page, which are read and unpacked without the lock, and the bytes of a batch.
PAGE_SIZE, PAGE_BYTES = 200, 8 * 1024**2
BATCH_SIZE, BATCH_BYTES = 25, 1024**2

# Columns of texts that came from clients or from Sentry.
OF_ENVELOPE = ("item_types", "reason", "upstream_id", "via", "caller_user_agent")
OF_EVENT = (
    *("platform", "logger", "title", "culprit", "transaction", "release", "environment"),
    *("client_timestamp", "scrubbed"),
)
_ENVELOPE_NAMES = (
    *("id", "project_id", "event_id", "state", "received_at", "settled_at", "size_bytes", "body"),
    *("caller_address", *OF_ENVELOPE),
)
_IDS: Any = bindparam("ids", expanding=True)
_ENVELOPES = select(*(envelopes.c[name] for name in _ENVELOPE_NAMES)).where(
    envelopes.c.id.in_(_IDS)
)
_EVENTS = select(
    events.c.id,
    events.c.event_id,
    events.c.issue_id,
    events.c.envelope_id,
    events.c.received_at,
    events.c.user_hash,
    *(events.c[name] for name in OF_EVENT),
).where(events.c.envelope_id.in_(_IDS))
_DELIVERED = select(envelopes.c.project_id, envelopes.c.received_at).where(
    envelopes.c.id.in_(_IDS), envelopes.c.state == EnvelopeState.DELIVERED
)
BATCH_IDS = 500


class Change(NamedTuple):
    """What has to change for one envelope.

    :param body: the packed body, ``None`` if it stays as it is.
    :param values: of its row. :param of_event: of the row of its event.
    """

    row: Row[Any]
    event: Row[Any] | None
    erased: Erased | None
    body: bytes | None
    values: dict[str, Any]
    of_event: dict[str, Any]


def count_envelopes(task: Task) -> int:
    """Return how many envelopes a run looks through."""
    with task.store.read() as conn:
        return int(conn.scalar(select(func.count()).select_from(envelopes)) or 0)


def erase_envelopes(task: Task) -> None:
    """Erase the person from all envelopes, including those that arrive meanwhile."""
    after = 0
    while True:
        with task.store.read() as conn:
            sizes = select(envelopes.c.id, envelopes.c.size_bytes).where(envelopes.c.id > after)
            page = conn.execute(sizes.order_by(envelopes.c.id).limit(PAGE_SIZE)).all()
            ids = [row.id for row in first_within(page, PAGE_BYTES, lambda row: row.size_bytes)]
            found = _changes(conn, task, ids)
        if not ids:
            return
        _apply(task, found)
        _erase_files(task, found)
        task.advance(len(ids))
        after = ids[-1]


def _erase_files(task: Task, found: list[Change]) -> None:
    """Erase what came in other envelopes about the person's events: files and reports."""
    theirs = [one.row for one in found if one.erased and one.erased.is_of_person]
    keys = [(row.project_id, row.event_id) for row in theirs if row.event_id]
    if not keys:
        return
    with task.store.read() as conn:
        ids = [id for key in keys for id in _about(conn, *key)]
        known = {one.row.id for one in found}
        more = _changes(conn, task, sorted(set(ids) - known), is_of_person=True)
    _apply(task, more)


def _about(conn: Connection, project_id: int, event_id: str) -> Iterator[int]:
    columns = envelopes.c
    files = select(columns.id).where(columns.event_id == event_id, columns.project_id == project_id)
    yield from conn.scalars(files.where(columns.item_types.contains(ATTACHMENT)))
    reports = select(feedback.c.envelope_id).where(
        feedback.c.associated_event_id == event_id, feedback.c.project_id == project_id
    )
    yield from conn.scalars(reports)


def _changes(
    conn: Connection, task: Task, ids: list[int], *, is_of_person: bool = False
) -> list[Change]:
    """Return what has to change in envelopes; those without the person are left out."""
    of_envelopes = {row.envelope_id: row for row in conn.execute(_EVENTS, {"ids": ids})}
    rows = conn.execute(_ENVELOPES, {"ids": ids})
    changes = (_change(task, row, of_envelopes.get(row.id), is_of_person) for row in rows)
    return [change for change in changes if change is not None]


def _change(task: Task, row: Row[Any], event: Row[Any] | None, is_of_person: bool) -> Change | None:
    erased = _erased_body(task, row, is_of_person)
    values = task.in_row(row, OF_ENVELOPE)
    if row.state == EnvelopeState.DISCARDED:
        values.pop("reason", None)  # A word of ours, by which the accounting counts it.
    is_theirs = erased is not None and erased.is_of_person
    has_session = erased is not None and bool(erased.dids)
    if row.caller_address and (is_theirs or has_session or task.person.is_it(row.caller_address)):
        values["caller_address"] = None
    if is_theirs and row.caller_user_agent:
        values["caller_user_agent"] = None
    # The row of an event is made of its body: what was erased there is erased here.
    there = replace(task, person=erased.person) if erased else task
    of_event = there.in_row(event, OF_EVENT) if event else {}
    body = None
    if erased and erased.is_changed:
        body = pack(erased.body)
        kept = {item.type for item in erased.envelope.items}
        types = [kind for kind in row.item_types.split(",") if kind != ATTACHMENT or kind in kept]
        values |= {"body": body, "size_bytes": len(erased.body), "item_types": ",".join(types)}
        values["item_types"] = task.person.in_text(values["item_types"])
    if event and event.user_hash and erased and _has_no_user(erased, event):
        of_event["user_hash"] = ""
    if not values and not of_event:
        return None
    return Change(row, event, erased, body, values, of_event)


def _erased_body(task: Task, row: Row[Any], is_of_person: bool) -> Erased | None:
    try:
        body = unpack(row.body)
        if not is_of_person and not task.person.may_be_in(body):
            return None
        return erase_body(body, task.person, is_of_person=is_of_person)
    except (ValueError, RecursionError):
        task.report.note(f"envelope {row.id} is damaged and could not be searched")
        return None


def _has_no_user(erased: Erased, event: Row[Any]) -> bool:
    """Return whether the user by which the event was counted is gone."""
    item = erased.envelope.event()
    if not erased.is_changed or item is None:
        return False
    read = read_event(item.payload, event_id=event.event_id, received_at=event.received_at)
    identity = read.user_identity
    return identity is None or ERASED in identity


# ---- writing ------------------------------------------------------------------------------------


def _apply(task: Task, found: list[Change]) -> None:
    for one in found:
        _note(task, one)
    if task.is_dry:
        return
    left = found
    while left:
        batch = first_within(left[:BATCH_SIZE], BATCH_BYTES, lambda one: len(one.body or b""))
        left = left[len(batch) :]
        with task.write() as conn:
            _write(conn, task, batch)


def _note(task: Task, one: Change) -> None:
    counts = task.report.counts
    if one.row.id not in task.counted:
        counts["envelopes"] += 1
        counts["events"] += one.event is not None
        counts["discarded"] += one.row.state in DISCARDABLE
        if one.row.state == EnvelopeState.DELIVERED:
            task.report.forward(one.row.project_id, one.row.received_at)
    # Envelopes without an event may be found twice: by what they have, and by their event.
    if one.event is None:
        task.counted.add(one.row.id)
    if one.erased:
        counts["attachments"] += one.erased.attachments
        counts["feedback"] += one.erased.feedback
        task.dids |= one.erased.dids
    if one.erased and one.erased.person is not task.person:
        task.report.note(ALSO)
    if one.event and "user_hash" in one.of_event:
        task.identities.add(one.event.user_hash)


def _write(conn: Connection, task: Task, batch: list[Change]) -> None:
    """Write a batch. An envelope that was changed since it was read is computed again."""
    ids = [one.row.id for one in batch]
    now = {row.id: row for row in conn.execute(_ENVELOPES, {"ids": ids})}
    batch = [_current(conn, task, one, now[one.row.id]) for one in batch if one.row.id in now]
    for one in batch:
        if one.values:
            row = update(envelopes).where(envelopes.c.id == one.row.id)
            conn.execute(row.values(fitting(envelopes, one.values)))
    _count_bytes(conn, batch)
    _discard(conn, task, [one.row for one in batch if one.row.state in DISCARDABLE])
    _write_events(conn, task, batch)
    theirs = [one.row.id for one in batch if one.erased and one.erased.feedback]
    if theirs:
        conn.execute(delete(feedback).where(feedback.c.envelope_id.in_(theirs)))
    without = [one for one in batch if one.erased and one.erased.attachments]
    note_removed_files(conn, [(one.row.project_id, one.row.event_id) for one in without])


def _current(conn: Connection, task: Task, change: Change, row: Row[Any]) -> Change:
    if row.body == change.row.body:
        return change._replace(row=row)
    is_theirs = change.erased is not None and change.erased.is_of_person
    event = conn.execute(_EVENTS, {"ids": [row.id]}).first()
    again = _change(task, row, event, is_theirs)
    return again or Change(row, event, None, None, {}, {})


def _count_bytes(conn: Connection, batch: list[Change]) -> None:
    change = project_bytes.Change()
    for one in batch:
        if one.body is not None:
            for body, types, sign in (
                (one.row.body, one.row.item_types, -1),
                (one.body, one.values["item_types"], 1),
            ):
                taken = sign * (len(body) + project_bytes.ROW_BYTES)
                has_files = ATTACHMENT in types.split(",")
                change.count(one.row.project_id, taken, taken if has_files else 0)
    if change.bytes:
        project_bytes.add(conn, change)


def _discard(conn: Connection, task: Task, rows: list[Row[Any]]) -> None:
    if not rows:
        return
    ended = {"settled_at": utc_now(), "next_at": None}
    values = {"state": EnvelopeState.DISCARDED, "reason": REASON, **ended}
    chosen = envelopes.c.id.in_([row.id for row in rows])
    conn.execute(update(envelopes).where(chosen).values(values))
    discarded = accounting.counter_of(EnvelopeState.DISCARDED, REASON)
    moved = ((accounting.counter_of(row.state, row.reason), discarded) for row in rows)
    accounting.move(conn, moved)
    move_months(conn, ((row, EnvelopeState.DISCARDED, REASON) for row in rows))
    task.discarded.update(row.id for row in rows)
    told = task.destinations.with_dsn(conn, {row.project_id for row in rows})
    owe_reports(conn, [(row, REASON) for row in rows if row.project_id in told])


def _write_events(conn: Connection, task: Task, batch: Iterable[Change]) -> None:
    changed = [(one.event, one.of_event) for one in batch if one.event is not None]
    for event, values in changed:
        if values:
            row = update(events).where(events.c.id == event.id)
            conn.execute(row.values(fitting(events, values)))
            task.report.counts["issues"] += _retitle(conn, event, values)
    ids = [event.id for event, _ in changed]
    task.unindexed |= index_again(conn, ids, {event.issue_id for event, _ in changed})


def _retitle(conn: Connection, event: Row[Any], values: dict[str, Any]) -> bool:
    """Change the title and the culprit that an issue has from an event. Return whether it did."""
    is_changed = False
    for name in {"title", "culprit"} & values.keys():
        same = issues.c.id == event.issue_id, issues.c[name] == getattr(event, name)
        row = update(issues).where(*same).values(fitting(issues, {name: values[name]}))
        is_changed |= conn.execute(row).rowcount > 0
    if is_changed:
        mark_stale(conn, [event.issue_id])
    return is_changed


def note_late_deliveries(task: Task) -> None:
    """Report envelopes that Sentry accepted while they were being discarded."""
    late = 0
    with task.store.read() as conn:
        for ids in in_batches(sorted(task.discarded), BATCH_IDS):
            rows = conn.execute(_DELIVERED, {"ids": ids}).all()
            late += len(rows)
            for row in rows:
                task.report.forward(row.project_id, row.received_at)
    if late:
        task.report.counts["discarded"] -= late
        task.report.notes.append(
            f"{late} envelopes were on their way while they were discarded: Sentry has them"
        )


def counted_hashes(task: Task) -> set[str]:
    """Return the hashes by which the person may be counted among affected users."""
    text = task.person.identifier.value
    return task.identities | {hash_of(form) for form in (text, text.lower(), text.upper())}
