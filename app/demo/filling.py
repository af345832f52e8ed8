"""Make the projects of a demo, store its events, decide some of its issues, and remove it all."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain

from sqlalchemy import Connection, bindparam, func, select, update

from app.accounts.tables import users
from app.delivery.destinations import Destinations
from app.demo.monitors import ERROR_OF_RUN, add_monitors
from app.demo.payloads import payload_of
from app.demo.plan import DAYS, PREFIX, PROJECTS, Occurrence, Plan, moment_of
from app.demo.signals import TRACED, envelopes_around
from app.events.states import EnvelopeState
from app.events.tables import envelopes, events
from app.intake import Intake
from app.intake.commit import commit_batch
from app.intake.prepared import Prepared
from app.intake.remembered import Remembered
from app.intake.removed_projects import remove_project_data
from app.issues import triage
from app.issues.fixes import remember_fix
from app.issues.tables import STATUSES, issues
from app.projects import add_project, delete_project, projects
from app.protocol.envelope import Envelope, Item
from app.protocol.sdk_name import Sdk
from app.stats.counting import Tally
from app.stats.item_counts import ITEMS
from app.stats.losses import CLIENT, LOSSES, REFUSED, LossCounter, Lost
from app.stats.months import MonthKey, add_months, month_of
from app.store import Store, in_batches, utc_now

ACTOR = "demo"
# Events of one transaction; other writers wait for it for about 50 ms.
BATCH_SIZE = 50
# Of hundred issues, so many are resolved, ignored and assigned.
RESOLVED, IGNORED, ASSIGNED = 15, 8, 20
COMMENTS = (
    "Seen after the deploy, I look into it.",
    "The provider had an outage.",
    "Fixed by a change of yesterday.",
)
FIX = "The client of the provider kept closed connections. Pin it below 3, or set pool_recycle=300."
# How many of the resolved issues have a remembered fix.
FIXES = 20
_PYTHON, _REACT = Sdk("sentry.python", "2.75.0"), Sdk("sentry.javascript.react", "10.4.0")
# So many hours ago; later projects had less of each.
LOST_BY_CLIENTS = (
    (2, Lost(CLIENT, _PYTHON, "queue_overflow", "error", 340)),
    (2, Lost(CLIENT, _REACT, "network_error", "session", 1204)),
    (5, Lost(CLIENT, _REACT, "network_error", "error", 61)),
    (9, Lost(CLIENT, Sdk("sentry.java", "7.1.0"), "ratelimit_backoff", "error", 28)),
    (4, Lost(CLIENT, _PYTHON, "sample_rate", "transaction", 90_000)),
    (4, Lost(REFUSED, _PYTHON, "quota", "error", 120)),
    (7, Lost(REFUSED, Sdk("sentry.php", "4.0"), "malformed", "unread", 6)),
)
# Of hundred events.
SENT_AND_SPARED = {"delivered": 62, "discarded:sample_rate": 25, "discarded:issue_cap": 9}
Progress = Callable[[int], None]
_STORED_AT_ONCE = (
    update(events)
    .where(
        events.c.project_id == bindparam("of_project"), events.c.event_id == bindparam("of_event")
    )
    .values(stored_at=events.c.received_at)
)


def demo_projects(conn: Connection) -> list[int]:
    """Return the ids of the demo projects."""
    columns = projects.c
    query = select(columns.id).where(columns.is_demo, columns.deleted_at.is_(None))
    return list(conn.scalars(query.order_by(columns.id)))


def demo_events(store: Store) -> int:
    """Return how many envelopes the demo has."""
    query = select(func.count()).where(envelopes.c.state == EnvelopeState.DEMO)
    with store.read() as conn:
        return int(conn.scalar(query) or 0)


def make_demo(intake: Intake, plan: Plan, progress: Progress = lambda count: None) -> None:
    """Make the projects, and store the events of a plan as if they had come in time.

    :param progress: called with the number of stored events after each batch.
    """
    store, now = intake.store, utc_now()
    ids = _make_projects(store, plan)
    remembered = Remembered()
    planned, of_run = _with_error_of_run(plan)
    for occurrences in in_batches(planned, BATCH_SIZE):
        batch = [_prepared(intake, ids, one, moment_of(one, now)) for one in occurrences]
        _store(store, batch, remembered)
        progress(len(batch))
    for occurrences in in_batches(planned[-(len(planned) // TRACED) :], BATCH_SIZE):
        around = [_around(intake, ids, one, moment_of(one, now)) for one in occurrences]
        _store(store, list(chain.from_iterable(around)), remembered)
    traces = [payload_of(one, moment_of(one, now))["contexts"]["trace"] for one in of_run]
    with store.write() as conn:
        add_monitors(conn, ids, next((trace["trace_id"] for trace in traces), None), now)
    _decide(store, list(ids.values()), plan.seed)
    _lose(store, list(ids.values()), now)


def _with_error_of_run(plan: Plan) -> tuple[list[Occurrence], list[Occurrence]]:
    """Return all occurrences, the oldest first, and the one that the job that fails now sent."""
    planned = list(plan.occurrences())
    of_run = [
        replace(one, day=DAYS - ERROR_OF_RUN / timedelta(days=1))
        for one in planned
        if one.bug.project == 0
    ][-1:]
    numbers = {one.number for one in of_run}
    others = [one for one in planned if one.number not in numbers]
    return sorted(others + of_run, key=lambda one: one.day), of_run


def remove_demo(
    store: Store, destinations: Destinations, progress: Progress = lambda count: None
) -> int:
    """Remove all demo projects with their data; return how many there were."""
    with store.read() as conn:
        ids = demo_projects(conn)
    for project_id in ids:
        delete_project(store, project_id)
        while not remove_project_data(store, destinations, project_id, progress):
            pass
    return len(ids)


def _make_projects(store: Store, plan: Plan) -> dict[int, int]:
    """Return the ids of the projects by their number in the plan."""
    ids = {}
    with store.write() as conn:
        for number, (name, _) in zip(range(plan.projects), PROJECTS, strict=False):
            ids[number] = add_project(conn, PREFIX + name)
        mark = update(projects).where(projects.c.id.in_(list(ids.values())))
        conn.execute(mark.values(is_demo=True))
    return ids


def _prepared(
    intake: Intake, ids: dict[int, int], occurrence: Occurrence, moment: datetime
) -> Prepared:
    payload = payload_of(occurrence, moment)
    envelope = Envelope({"event_id": payload["event_id"]}, [Item({"type": "event"}, payload)])
    return _of_demo(intake, envelope, ids[occurrence.bug.project], moment)


def _around(
    intake: Intake, ids: dict[int, int], occurrence: Occurrence, moment: datetime
) -> list[Prepared]:
    """Return the traces and logs around an error, as far as their projects are in the demo."""
    found = envelopes_around(occurrence, payload_of(occurrence, moment), moment)
    return [
        _of_demo(intake, envelope, ids[project], moment)
        for project, envelope in found
        if project in ids
    ]


def _of_demo(intake: Intake, envelope: Envelope, project_id: int, moment: datetime) -> Prepared:
    prepared = intake.prepare(envelope, project_id=project_id, received_at=moment)
    return replace(prepared, is_demo=True)


def _store(store: Store, batch: list[Prepared], remembered: Remembered) -> None:
    counts: Counter[str] = Counter()
    with store.write(durable=False) as conn:
        commit_batch(conn, batch, Destinations(), remembered, counts, batch[-1].received_at)
        # The events of a batch are hours apart; each was stored when it came.
        rows = [{"of_project": one.project_id, "of_event": one.event_id} for one in batch]
        conn.execute(_STORED_AT_ONCE, rows)


def _decide(store: Store, project_ids: list[int], seed: int) -> None:
    """Resolve, ignore, assign and comment on some issues, as people would have."""
    chance = random.Random(seed)  # noqa: S311 -- a demo, not a secret
    some = select(issues.c.id).where(
        issues.c.project_id.in_(project_ids), issues.c.status.in_(STATUSES)
    )
    with store.write() as conn:
        ids = sorted(conn.scalars(some))
        chance.shuffle(ids)
        person = conn.scalar(select(users.c.username).order_by(users.c.username).limit(1))
        parts: Iterator[list[int]] = _shares(ids, RESOLVED, IGNORED, ASSIGNED)
        triage.resolve(conn, next(parts), ACTOR)
        triage.ignore(conn, next(parts), ACTOR)
        triage.assign(conn, next(parts), person, ACTOR)
        for place, text in zip(ids, COMMENTS * 10, strict=False):
            triage.comment(conn, place, text, ACTOR)
        of_resolved = select(issues.c.id).where(issues.c.id.in_(ids), issues.c.status == "resolved")
        fixed = sorted(conn.scalars(of_resolved))[:FIXES]
        comments = triage.comment_all(conn, fixed, FIX, ACTOR)
        remember_fix(conn, list(comments.values()))


def _lose(store: Store, project_ids: list[int], now: datetime) -> None:
    """Count losses of clients, refusals, and what was sent and spared, as if they had happened."""
    tally = Tally(LOSSES)
    for place, project_id in enumerate(project_ids):
        for hours, lost in LOST_BY_CLIENTS:
            at = (now - timedelta(hours=hours + place)).timestamp()
            tally.add(project_id, at, (lost._replace(quantity=lost.quantity // (place + 1) + 1),))
    months: Counter[MonthKey] = Counter()
    with store.write() as conn:
        LossCounter().add(conn, tally, now)
        items = ITEMS.table.c
        of_demo = items.project_id.in_(project_ids), items.item_type == "event"
        days = conn.execute(select(items.project_id, items.day, items.quantity).where(*of_demo))
        for project_id, day, quantity in days:
            for outcome, percent in SENT_AND_SPARED.items():
                months[project_id, "error", outcome, month_of(day)] += quantity * percent // 100
        add_months(conn, months)


def _shares(ids: list[int], *of_hundred: int) -> Iterator[list[int]]:
    first = 0
    for share in of_hundred:
        last = first + len(ids) * share // 100
        yield ids[first:last]
        first = last
