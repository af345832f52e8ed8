"""Choose the events to ask about, from the ledger of attempts.

    every test error · every first event of an issue · of the others one in five minutes

The ledger is read once, in the order in which Sentry's answers were recorded. So nothing is added
to the way of an event, and an event that was sampled out or refused is never asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, or_, select

from app.confirmation.schedule import FIRST
from app.confirmation.sources import Source, change
from app.confirmation.tables import Kind, State, confirmations
from app.delivery.tables import attempts
from app.events.states import EnvelopeState
from app.events.tables import envelopes, events
from app.issues.tables import issues
from app.store import Store, facts, replaced, upsert

# The fact that says up to which attempt the ledger was read.
POSITION = "confirmations_read"
# Attempts of one batch, and batches of one run.
BATCH_SIZE, BATCHES = 500, 10
SAMPLE_EVERY = timedelta(minutes=5)
# What was accepted earlier is not asked about: Sentry may have removed it since.
OLDEST = timedelta(hours=6)
# Results that are recorded together have ids in another order than their attempts began.
SLACK = 1000
# The events of a project that have no answer yet. A flood of first events gets no more than this.
MAX_OPEN = 1000
# With so many of them no sample is taken: first events and test errors come first.
BUSY = 60


def choose(store: Store, sources: Mapping[int, Source], now: datetime) -> int:
    """Choose from the attempts since the last run; return how many were chosen.

    :param sources: by project id, of those that have an API.
    """
    chosen = 0
    for _ in range(BATCHES):
        with store.read() as conn:
            position, end = _range(conn, now)
            if end is None:
                return chosen
            rows = list(conn.execute(_delivered(position, end, list(sources), now)))
            open_rows = _open(conn, sources) if rows else {}
        picked = list(_picked(rows, sources, open_rows, now))
        with store.write(durable=False) as conn:
            add_rows(conn, picked, now)
            _set_position(conn, end)
        chosen += len(picked)
        sources = _advanced(sources, picked)
        if end - position < BATCH_SIZE:
            return chosen
    return chosen


def _range(conn: Connection, now: datetime) -> tuple[int, int | None]:
    """Return the ids of attempts between which to read: after the first, up to the second."""
    value = conn.scalar(select(facts.c.value).where(facts.c.name == POSITION))
    young = select(attempts.c.id).where(attempts.c.at >= now - OLDEST).order_by(attempts.c.at)
    first = conn.scalar(young.limit(1))
    newest = conn.scalar(select(func.max(attempts.c.id))) or 0
    if first is None or newest == 0:
        return newest, None
    # Ids may start again when the newest rows were removed.
    position = min(max(int(value or 0), first - 1 - SLACK), newest)
    return position, min(newest, position + BATCH_SIZE) if newest > position else None


def _delivered(position: int, end: int, project_ids: list[int], now: datetime) -> Select[Any]:
    earlier = events.alias()
    is_first = ~exists().where(earlier.c.issue_id == events.c.issue_id, earlier.c.id < events.c.id)
    return (
        select(
            attempts.c.at,
            attempts.c.ms,
            attempts.c.error,
            events.c.project_id,
            events.c.event_id,
            issues.c.is_test,
            or_(envelopes.c.priority == 0, is_first).label("is_first"),
        )
        .join_from(attempts, envelopes, envelopes.c.id == attempts.c.envelope_id)
        .join(events, events.c.envelope_id == envelopes.c.id)
        .join(issues, issues.c.id == events.c.issue_id)
        .where(
            attempts.c.id > position,
            attempts.c.id <= end,
            attempts.c.at >= now - OLDEST,
            attempts.c.state == EnvelopeState.DELIVERED,
            events.c.project_id.in_(project_ids),
        )
        .order_by(attempts.c.id)
    )


def _open(conn: Connection, project_ids: Iterable[int]) -> dict[int, int]:
    columns = confirmations.c
    query = select(columns.project_id, func.count()).where(
        columns.next_at.is_not(None),
        columns.project_id.in_(list(project_ids)),
        columns.state == State.OPEN,
    )
    return {of: count for of, count in conn.execute(query.group_by(columns.project_id))}


def _picked(
    rows: Iterable[Row[Any]],
    sources: Mapping[int, Source],
    open_rows: dict[int, int],
    now: datetime,
) -> Iterable[dict[str, Any]]:
    sampled = {project_id: source.sampled_at for project_id, source in sources.items()}
    for row in rows:
        project_id = row.project_id
        accepted_at = row.at + timedelta(milliseconds=row.ms)
        since = sources[project_id].since
        if (since and accepted_at < since) or open_rows.get(project_id, 0) >= MAX_OPEN:
            continue
        kind = Kind.TEST if row.is_test else Kind.FIRST if row.is_first else Kind.SAMPLE
        if kind == Kind.SAMPLE:
            last = sampled[project_id]
            if sum(open_rows.values()) >= BUSY or (last and accepted_at < last + SAMPLE_EVERY):
                continue
            sampled[project_id] = accepted_at
        open_rows[project_id] = open_rows.get(project_id, 0) + 1
        yield new_row(project_id, row.event_id, kind, accepted_at, row.error)


def new_row(
    project_id: int, event_id: str, kind: Kind, accepted_at: datetime, reason: str | None = None
) -> dict[str, Any]:
    """Return the row of an event that is to be asked about.

    :param reason: why Sentry may have dropped it, as it said when it accepted it.
    """
    return {
        "project_id": project_id,
        "event_id": event_id,
        "kind": kind,
        "state": State.OPEN,
        "accepted_at": accepted_at,
        "next_at": accepted_at + FIRST,
        "asked": 0,
        "asked_at": None,
        "settled_at": None,
        "reason": reason and reason[:200],
        "group_id": None,
    }


def add_rows(conn: Connection, rows: list[dict[str, Any]], now: datetime) -> None:
    """Write the rows of events to ask about.

    An event that was sent again is asked about again, unless Sentry shows it already.
    """
    for row in rows:
        changed = {name: replaced for name in row if name not in ("project_id", "event_id")}
        conn.execute(upsert(conn, confirmations, row, where=_is_not_confirmed, **changed))
        values = {"chosen_at": max(now, row["accepted_at"])}
        if row["kind"] == Kind.SAMPLE:
            values["sampled_at"] = row["accepted_at"]
        change(conn, row["project_id"], values)


def _is_not_confirmed(old: Any, new: Any) -> Any:
    return old.state != State.CONFIRMED


def _advanced(sources: Mapping[int, Source], picked: list[dict[str, Any]]) -> Mapping[int, Source]:
    samples = {row["project_id"]: row["accepted_at"] for row in picked if row["kind"] == "sample"}
    return {
        project_id: replace(source, sampled_at=samples.get(project_id, source.sampled_at))
        for project_id, source in sources.items()
    }


def _set_position(conn: Connection, position: int) -> None:
    row = {"name": POSITION, "value": str(position)}
    conn.execute(upsert(conn, facts, row, value=replaced))
