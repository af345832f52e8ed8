"""The transaction: write the envelopes, events, issues, users and counters of a batch.

It uses as few statements as there are tables. Each statement costs more than its own time: the
driver releases the interpreter's lock, and gets it back only when the busy threads of the process
release it. The driver executes them itself (:mod:`app.store.driver`).

Rows that other batches update, too, are updated in the order of their keys. So two batches could
not wait for each other, even if :meth:`Store.write` were not the only writer. New rows rely on that
lock: an event, a grouping, a release or a series is looked up and then inserted. Without the lock,
the unique key of the table would refuse the second insert, and the intake would commit each
envelope of the batch alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, update

from app.delivery import accounting
from app.delivery.destinations import Destinations
from app.events.tables import envelopes, events
from app.intake import project_bytes
from app.intake.duplicates import without_known_events
from app.intake.prepared import Accepted, Prepared
from app.intake.quotas import within_quotas
from app.intake.remembered import Remembered, see_releases
from app.intake.rows import envelope_row, event_row, first_state
from app.issues.feedback import Received, record_feedback
from app.issues.occurrence import Occurrence
from app.issues.recording import record_occurrences
from app.projects.quotas import window_end
from app.stats.counting import Tally, count_day
from app.stats.item_counts import ITEMS, ItemKey
from app.stats.losses import CLIENT, LOSSES, Lost
from app.stats.releases import Release, release_of
from app.store import DriverStatement, insert_for

_EVENT_INSERT = DriverStatement(lambda dialect: events.insert())
_ENVELOPE_INSERT = DriverStatement(
    lambda dialect: (
        insert_for(dialect, envelopes)
        .on_conflict_do_nothing(index_elements=["uid"])
        .returning(envelopes.c.uid, envelopes.c.id)
    )
)


def commit_batch(
    conn: Connection,
    batch: list[Prepared],
    destinations: Destinations,
    remembered: Remembered,
    counts: Counter[str],
    now: datetime,
) -> list[Accepted]:
    """Write a batch. The caller commits the transaction.

    :param counts: counts of the accounting that are not written yet. The counts of this batch are
        added, and all are written.
    :param remembered: what this process keeps in memory about the store.
    :return: one result for each envelope, in order.
    """
    lost = Tally(LOSSES)
    taken = within_quotas(conn, batch, counts, lost, now)
    fresh = without_known_events(conn, taken, counts)
    sent_on = destinations.with_dsn(conn, {envelope.project_id for envelope in fresh})
    ids = _insert_envelopes(conn, fresh, sent_on)
    stored = [envelope for envelope in fresh if envelope.uid in ids]
    _count_states(stored, sent_on, counts)
    releases = _release_numbers(conn, stored, remembered, now)
    of_events = [envelope for envelope in stored if envelope.event]
    _insert_events(conn, of_events, ids, releases, remembered, now)
    _record_feedback(conn, stored, ids)
    _count_the_rest(conn, stored, lost, now)
    _count_bytes(conn, stored, now)
    if measured := [envelope.measured for envelope in stored if any(envelope.measures)]:
        remembered.measures.add(conn, measured, now)
    remembered.losses.add(conn, lost, now)
    accounting.add(conn, counts)
    within = {envelope.uid for envelope in taken}
    return [
        Accepted(
            envelope.event_id,
            duplicate=envelope.uid not in ids,
            is_due=envelope.uid in ids and envelope.project_id in sent_on,
        )
        if envelope.uid in within
        else Accepted(envelope.event_id, refused_until=window_end(now))
        for envelope in batch
    ]


def _insert_envelopes(conn: Connection, fresh: list[Prepared], sent_on: set[int]) -> dict[str, int]:
    """Insert the envelopes whose uid is not stored yet. Return the new row ids by uid."""
    rows = [envelope_row(envelope, first_state(envelope, sent_on)) for envelope in fresh]
    return dict(_ENVELOPE_INSERT.fetch_each(conn, rows))


def _count_states(stored: list[Prepared], sent_on: set[int], counts: Counter[str]) -> None:
    for envelope in stored:
        if envelope.is_demo:
            continue
        counts["accepted"] += 1
        counts[accounting.counter_of(first_state(envelope, sent_on))] += 1


def _release_numbers(
    conn: Connection, stored: list[Prepared], remembered: Remembered, now: datetime
) -> dict[Release, int]:
    named = {
        release_of(envelope.project_id, envelope.event.release)
        for envelope in stored
        if envelope.event
    }
    return see_releases(conn, _releases_of(stored), remembered, now, named)


def _releases_of(stored: list[Prepared]) -> Iterator[Release | None]:
    for envelope in stored:
        if envelope.event:
            yield release_of(envelope.project_id, envelope.event.release)
        for timing in envelope.measures.timings:
            yield release_of(envelope.project_id, timing.release)
        for sessions in envelope.measures.sessions:
            yield release_of(envelope.project_id, sessions.release)


def _insert_events(
    conn: Connection,
    stored: list[Prepared],
    ids: dict[str, int],
    releases: dict[Release, int],
    remembered: Remembered,
    now: datetime,
) -> None:
    if not stored:
        return
    occurrences = _occurrences(stored, releases)
    recorded = record_occurrences(
        conn, occurrences, now, remembered.users, remembered.max_new_issues
    )
    rows = [
        event_row(envelope, occurrence, issue, ids[envelope.uid], now)
        for envelope, occurrence, issue in zip(stored, occurrences, recorded, strict=True)
    ]
    _EVENT_INSERT.run(conn, rows)
    _put_first(
        conn,
        [
            ids[envelope.uid]
            for envelope, issue in zip(stored, recorded, strict=True)
            if issue.is_first
        ],
    )


def _occurrences(stored: list[Prepared], releases: dict[Release, int]) -> list[Occurrence]:
    return [
        Occurrence(
            envelope.project_id,
            envelope.event,
            envelope.grouping,
            _number_of(envelope, releases),
            envelope.older,
        )
        for envelope in stored
        if envelope.event and envelope.grouping
    ]


def _number_of(prepared: Prepared, releases: dict[Release, int]) -> int | None:
    release = prepared.event and release_of(prepared.project_id, prepared.event.release)
    return releases.get(release) if release else None


def _put_first(conn: Connection, envelope_ids: list[int]) -> None:
    """Give the first event of an issue priority: it is sent before repeats, at any sample rate."""
    if envelope_ids:
        first = update(envelopes).where(envelopes.c.id.in_(envelope_ids))
        conn.execute(first.values(priority=0))


def _record_feedback(conn: Connection, stored: list[Prepared], ids: dict[str, int]) -> None:
    record_feedback(
        conn,
        [
            Received(envelope.project_id, ids[envelope.uid], envelope.received_at, said)
            for envelope in stored
            for said in envelope.feedback
        ],
    )


def _count_the_rest(conn: Connection, stored: list[Prepared], lost: Tally, now: datetime) -> None:
    # A dictionary with a default counts faster than a Counter, whose default is in Python.
    items: dict[ItemKey, int] = defaultdict(int)
    for one in stored:
        for item_type, count in one.items.items():
            items[ItemKey(one.project_id, item_type)] += count
        if one.losses:
            sdk = one.sdk()
            found = [Lost(CLIENT, sdk, *loss) for loss in one.losses]
            lost.add(one.project_id, one.received_at.timestamp(), found)
    count_day(conn, ITEMS, items, now.date())


def _count_bytes(conn: Connection, stored: list[Prepared], now: datetime) -> None:
    change = project_bytes.Change()
    for envelope in stored:
        change.count_stored(envelope.project_id, len(envelope.packed), envelope.item_types)
    project_bytes.add(conn, change, now)
