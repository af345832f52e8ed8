"""Duplicates: envelopes whose event is stored already are counted, and not stored again."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, bindparam, select, update

from app.events.tables import envelopes, events
from app.intake.prepared import Prepared
from app.store import DriverStatement, is_in

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


def without_known_events(
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
