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
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from app.delivery import accounting
from app.delivery.destinations import Destinations
from app.events.states import EnvelopeState
from app.events.tables import envelopes, events
from app.intake import project_bytes
from app.issues.feedback import Received, record_feedback
from app.issues.grouping import Grouping
from app.issues.occurrence import Occurrence
from app.issues.recording import Recorded, record_occurrences
from app.issues.triage import resolve_awaiting
from app.projects.quotas import admit, note_refusal, refused_counter, window_end
from app.protocol.caller import Inferred
from app.protocol.client_clock import Correction
from app.protocol.client_report import Loss
from app.protocol.event import Event, clean_text
from app.protocol.feedback import Feedback
from app.protocol.measures import NOTHING, Measures
from app.protocol.packing import unpack
from app.protocol.scrub import Finding
from app.protocol.sdk_name import UNKNOWN_SDK, Sdk
from app.stats.counting import Measured, Tally, count_day
from app.stats.item_counts import ITEMS, ItemKey
from app.stats.losses import CLIENT, LOSSES, REFUSED, LossCounter, Lost
from app.stats.measuring import MeasureCounters
from app.stats.months import category_of_items
from app.stats.releases import Release, ReleaseRecorder, release_of
from app.stats.users import UserCounter
from app.store import DriverStatement, insert_for, is_in

_EVENT_INSERT = DriverStatement(lambda dialect: events.insert())
_ENVELOPE_INSERT = DriverStatement(
    lambda dialect: (
        insert_for(dialect, envelopes)
        .on_conflict_do_nothing(index_elements=["uid"])
        .returning(envelopes.c.uid, envelopes.c.id)
    )
)
# One query per project, because SQLite reads the whole table for pairs of project and id.
_KNOWN_EVENTS = DriverStatement(
    lambda dialect, size: (
        select(events.c.event_id, envelopes.c.uid)
        .join(envelopes, envelopes.c.id == events.c.envelope_id)
        .where(events.c.project_id == bindparam("project_id"))
        .where(is_in(events.c.event_id, "event_ids", size))
    ),
    takes="event_ids",
)


class Remembered:
    """Data about the store that a process keeps in memory, so that it reads it only once.

    :param max_new_issues: new issues per project and hour; 0 means no limit.
    """

    def __init__(self, max_new_issues: int = 0) -> None:
        self.max_new_issues = max_new_issues
        self.measures = MeasureCounters()
        self.losses = LossCounter()
        self.releases = ReleaseRecorder()
        self.users = UserCounter()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The result of storing an envelope.

    :param event_id: the id of its event, if it has one.
    :param duplicate: the envelope, or its event, was stored before.
    :param refused_until: the envelope exceeded the quota of its project and was not stored. The
        quota opens again at this time.
    :param is_due: the envelope has to be forwarded.
    """

    event_id: str | None
    duplicate: bool = False
    refused_until: datetime | None = None
    is_due: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """An envelope as it will be stored: scrubbed, parsed and grouped.

    :param quota: envelopes per minute that its project may send; ``None`` if the envelope does not
        count against the quota.
    """

    uid: str
    project_id: int
    received_at: datetime
    item_types: str
    # Compressed on the caller's thread before the transaction. Others wait for the transaction.
    packed: bytes
    size_bytes: int
    event_id: str | None
    event: Event | None = None
    grouping: Grouping | None = None
    # Computes the grouping by the previous version of the rules, for keys that are not known yet.
    older: Callable[[], Grouping] | None = None
    findings: list[Finding] = field(default_factory=list)
    scrub_ms: float = 0.0
    via: str | None = None
    quota: int | None = None
    items: Counter[str] = field(default_factory=Counter)
    losses: list[Loss] = field(default_factory=list)
    # Reads the SDK that sent it. Only reports of losses and refusals ask for it.
    sdk: Callable[[], Sdk] = lambda: UNKNOWN_SDK
    inferred: Inferred = Inferred()
    measures: Measures = NOTHING
    feedback: list[Feedback] = field(default_factory=list)
    correction: Correction | None = None
    is_demo: bool = False

    @property
    def body(self) -> bytes:
        """The envelope in wire form."""
        return unpack(self.packed)

    @property
    def receipt(self) -> list[dict[str, str]]:
        """The scrubbing report, in the form in which it is stored."""
        return [finding._asdict() for finding in self.findings]

    @property
    def measured(self) -> Measured:
        """The measurements of the envelope that are counted in addition to its event."""
        return Measured(self.project_id, self.uid, self.event_id, self.received_at, self.measures)

    @property
    def event_key(self) -> tuple[int, str] | None:
        """The unique key of the event: project id and event id. ``None`` without an event."""
        return (self.project_id, self.event.event_id) if self.event else None


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
    taken = _within_quotas(conn, batch, counts, lost, now)
    fresh = _without_known_events(conn, taken, counts)
    sent_on = destinations.with_dsn(conn, {envelope.project_id for envelope in fresh})
    ids = _insert_envelopes(conn, fresh, sent_on)
    stored = [envelope for envelope in fresh if envelope.uid in ids]
    for envelope in stored:
        if envelope.is_demo:
            continue
        counts["accepted"] += 1
        counts[accounting.counter_of(_first_state(envelope, sent_on))] += 1
    of_events = [envelope for envelope in stored if envelope.event]
    named = {
        release_of(envelope.project_id, envelope.event.release)
        for envelope in of_events
        if envelope.event
    }
    releases = see_releases(conn, _releases_of(stored), remembered, now, named)
    _insert_events(conn, of_events, ids, releases, remembered, now)
    record_feedback(
        conn,
        [
            Received(envelope.project_id, ids[envelope.uid], envelope.received_at, said)
            for envelope in stored
            for said in envelope.feedback
        ],
    )
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


def _first_state(prepared: Prepared, sent_on: set[int]) -> str:
    if prepared.is_demo:
        return EnvelopeState.DEMO
    return EnvelopeState.PENDING if prepared.project_id in sent_on else EnvelopeState.LOCAL


def _within_quotas(
    conn: Connection, batch: list[Prepared], counts: Counter[str], lost: Tally, now: datetime
) -> list[Prepared]:
    """Return the envelopes within the quotas of their projects, and count the others.

    This comes before the search for duplicates. Otherwise a duplicate of an event that is refused
    here would be counted as stored.
    """
    limits = {
        envelope.project_id: envelope.quota for envelope in batch if envelope.quota is not None
    }
    if not limits:
        return batch
    wanted = Counter(envelope.project_id for envelope in batch if envelope.quota is not None)
    left = admit(conn, wanted, limits, now)
    for project_id, admitted in left.items():
        if refused := wanted[project_id] - admitted:
            counter = refused_counter(project_id)
            note_refusal(conn, project_id, accounting.read_counter(conn, counter), now)
            counts[counter] += refused
    taken = []
    for envelope in batch:
        if envelope.quota is not None:
            left[envelope.project_id] -= 1
        if envelope.quota is None or left[envelope.project_id] >= 0:
            taken.append(envelope)
        else:
            category = category_of_items(envelope.item_types.split(","))
            found = Lost(REFUSED, envelope.sdk(), "quota", category)
            lost.add(envelope.project_id, envelope.received_at.timestamp(), (found,))
    return taken


def _without_known_events(
    conn: Connection, batch: list[Prepared], counts: Counter[str]
) -> list[Prepared]:
    """Return the envelopes whose event is new, and count the duplicates.

    An event is a duplicate if it is stored already, or occurs earlier in the batch.
    """
    # A lookup followed by an insert is safe: Store.write makes this the only writer until commit.
    known = _known_events(conn, [envelope.event_key for envelope in batch if envelope.event_key])
    fresh: list[Prepared] = []
    again: Counter[tuple[int, str]] = Counter()
    for envelope in batch:
        key = envelope.event_key
        if key is None or key not in known:
            fresh.append(envelope)
            known.update({key: envelope.uid} if key else {})
        elif known[key] != envelope.uid:  # The same envelope, recovered again, is no duplicate.
            again[key] += 1
    _count_duplicates(conn, again, counts)
    return fresh


def _known_events(conn: Connection, keys: list[tuple[int, str]]) -> dict[tuple[int, str], str]:
    """Return the events that are stored, with the uid of their envelope."""
    by_project: dict[int, list[str]] = {}
    for project_id, event_id in keys:
        by_project.setdefault(project_id, []).append(event_id)
    return {
        (project_id, event_id): uid
        for project_id, ids in by_project.items()
        for event_id, uid in _KNOWN_EVENTS.fetch(conn, {"project_id": project_id, "event_ids": ids})
    }


def _count_duplicates(
    conn: Connection, again: Counter[tuple[int, str]], counts: Counter[str]
) -> None:
    for (project_id, event_id), times in sorted(again.items()):
        counts["duplicates"] += times
        conn.execute(
            update(events)
            .where(events.c.project_id == project_id, events.c.event_id == event_id)
            .values(duplicates=events.c.duplicates + times)
        )


def _insert_envelopes(conn: Connection, fresh: list[Prepared], sent_on: set[int]) -> dict[str, int]:
    """Insert the envelopes whose uid is not stored yet. Return the new row ids by uid."""
    rows = [_envelope_row(envelope, _first_state(envelope, sent_on)) for envelope in fresh]
    return dict(_ENVELOPE_INSERT.fetch_each(conn, rows))


def see_releases(
    conn: Connection,
    heard: Iterable[Release | None],
    remembered: Remembered,
    now: datetime,
    of_events: Collection[Release | None] = (),
) -> dict[Release, int]:
    """Record releases and return their row ids.

    Issues that were resolved "in the next release" get the name of a new release here.

    :param heard: releases in the order they were received. Call this before their events are
        counted.
    :param of_events: the releases that events name.
    """
    seen = remembered.releases.see(conn, heard, now, of_events)
    if seen.made:
        resolve_awaiting(conn, seen.made)
    return seen.ids


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
    occurrences = [
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
    recorded = record_occurrences(
        conn, occurrences, now, remembered.users, remembered.max_new_issues
    )
    rows = [
        _event_row(envelope, occurrence, issue, ids[envelope.uid], now)
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


def _number_of(prepared: Prepared, releases: dict[Release, int]) -> int | None:
    release = prepared.event and release_of(prepared.project_id, prepared.event.release)
    return releases.get(release) if release else None


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


def _put_first(conn: Connection, envelope_ids: list[int]) -> None:
    """Give the first event of an issue priority: it is sent before repeats, at any sample rate."""
    if envelope_ids:
        first = update(envelopes).where(envelopes.c.id.in_(envelope_ids))
        conn.execute(first.values(priority=0))


def _envelope_row(prepared: Prepared, state: str) -> dict[str, Any]:
    return {
        "uid": prepared.uid,
        "project_id": prepared.project_id,
        "event_id": prepared.event_id,
        "item_types": prepared.item_types,
        "state": state,
        "next_at": prepared.received_at if state == EnvelopeState.PENDING else None,
        "received_at": prepared.received_at,
        "size_bytes": prepared.size_bytes,
        "body": prepared.packed,
        "via": prepared.via,
        "caller_address": prepared.inferred.address,
        "caller_user_agent": prepared.inferred.user_agent,
    }


def _event_row(
    prepared: Prepared, of: Occurrence, recorded: Recorded, envelope_id: int, now: datetime
) -> dict[str, Any]:
    event = of.event
    ignored_by = prepared.grouping and prepared.grouping.ignored_by
    return {
        "event_id": event.event_id,
        "project_id": prepared.project_id,
        "issue_id": recorded.issue_id,
        "envelope_id": envelope_id,
        "level": event.level,
        "platform": event.platform and event.platform[:64],
        "logger": event.logger and event.logger[:200],
        "title": of.title,
        "culprit": of.culprit,
        "transaction": event.transaction and event.transaction[:500],
        "release": event.release and event.release[:250],
        "environment": event.environment and event.environment[:64],
        "timestamp": event.timestamp,
        "client_timestamp": prepared.correction and clean_text(prepared.correction.said),
        "timestamp_corrected": prepared.correction and prepared.correction.because,
        "received_at": prepared.received_at,
        "stored_at": now,
        "scrub_ms": prepared.scrub_ms,
        "scrubbed": prepared.receipt,
        "duplicates": 0,
        "ignored_by": ignored_by and ignored_by[:200],
        "grouping_id": recorded.grouping_id,
        "user_hash": of.user_hash or "",
    }
