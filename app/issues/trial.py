"""Try a rule on stored events: report what it would do, without changing anything.

newest events ── read again ── grouped with the rule ── moves: from issue to issue
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, select

from app.events.tables import envelopes, events
from app.issues.grouping import Grouping, group
from app.issues.groupings import find_groupings
from app.issues.rulebook import StoredRule
from app.issues.rules import Rule, matches
from app.issues.tables import groupings, issues
from app.protocol.envelope import parse_envelope
from app.protocol.event import Event, read_event
from app.protocol.packing import unpack
from app.store import in_batches

MAX_EVENTS = 500
# Bytes of envelopes, inflated: a person waits for the result, and this many take about a second.
MAX_BYTES = 32 * 1024**2
# The number of bodies that are in memory at the same time.
BATCH_SIZE = 50
# The number of example events of a move.
EXAMPLES = 5


@dataclass
class Move:
    """Events of an issue that would have the same key with the rule.

    :param grouping: the grouping of these events with the rule.
    :param issue_id: the issue that has this key now; ``None`` if it would be a new issue.
    :param event_ids: the ids of the newest of these events.
    """

    project_id: int
    from_issue_id: int
    from_title: str
    from_key: str
    grouping: Grouping
    issue_id: int | None = None
    count: int = 0
    event_ids: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[int, str, str]:
        """The unique key of the issue that they would be in."""
        return self.project_id, self.grouping.version, self.grouping.hash

    @property
    def stays(self) -> bool:
        """Whether the events would stay in their issue."""
        return self.issue_id == self.from_issue_id


@dataclass
class Trial:
    """What a rule would do.

    :param tried: the number of events that it was tried on.
    :param matched: the number of events that match; an earlier rule may still apply to some of
        them.
    :param moves: the moves of the matching events, largest first.
    """

    tried: int
    matched: int
    moves: list[Move]


class _Stored(NamedTuple):
    event: Event
    row: Row[Any]


def try_rule(
    conn: Connection,
    rule: Rule,
    kept: Sequence[StoredRule],
    *,
    project_id: int | None = None,
    limit: int = MAX_EVENTS,
) -> Trial:
    """Return what a rule would do with the newest events.

    :param rule: the rule to try. It replaces the stored rule with the same id; without such a rule
        it is tried after all others.
    :param kept: the stored rules, in their order.
    :param project_id: the project of the events; by default, events of all projects are used.
    :param limit: the largest number of events, at most :data:`MAX_EVENTS`. There are fewer events
        if their envelopes exceed :data:`MAX_BYTES`.
    """
    tried = 0
    moves: dict[tuple[int, Grouping], Move] = {}
    of_project: dict[int, list[Rule]] = {}
    for event, row in _newest(conn, project_id, min(limit, MAX_EVENTS)):
        tried += 1
        if not matches(rule, event):
            continue
        if row.project_id not in of_project:
            of_project[row.project_id] = _with(rule, kept, row.project_id)
        grouping = group(event, of_project[row.project_id])
        start = Move(row.project_id, row.issue_id, row.title, row.key or "", grouping)
        move = moves.setdefault((row.issue_id, grouping), start)
        move.count += 1
        move.event_ids = [*move.event_ids, event.event_id][:EXAMPLES]
    largest_first = sorted(moves.values(), key=lambda move: -move.count)
    _find_issues(conn, largest_first)
    return Trial(tried, sum(move.count for move in largest_first), largest_first)


def _with(rule: Rule, kept: Iterable[StoredRule], project_id: int) -> list[Rule]:
    rules: list[Rule] = []
    for event in kept:
        if event.id == rule.id:
            rules.append(rule)
        elif event.enabled and event.applies_to(project_id):
            with suppress(ValueError):  # The intake skips an unreadable rule, too.
                rules.append(event.read())
    return rules if rule in rules else [*rules, rule]


def _newest(conn: Connection, project_id: int | None, limit: int) -> Iterator[_Stored]:
    query = select(events.c.id, envelopes.c.size_bytes)
    query = query.join(envelopes, envelopes.c.id == events.c.envelope_id)
    if project_id is not None:
        query = query.where(events.c.project_id == project_id)
    left, ids = MAX_BYTES, []
    for id, size_bytes in conn.execute(query.order_by(events.c.id.desc()).limit(limit)).all():
        left -= size_bytes
        if left < 0:
            break
        ids.append(id)
    for batch in in_batches(ids, BATCH_SIZE):
        yield from _read(conn, batch)


# A grouping of another issue is a different one, with the reused id of a deleted grouping.
_is_of_event = and_(
    groupings.c.id == events.c.grouping_id, groupings.c.issue_id == events.c.issue_id
)


def _read(conn: Connection, ids: list[int]) -> Iterator[_Stored]:
    of_event = (events.c.event_id, events.c.project_id, events.c.issue_id, events.c.received_at)
    query = (
        select(*of_event, envelopes.c.body, issues.c.title, groupings.c.key)
        .join(envelopes, envelopes.c.id == events.c.envelope_id)
        .join(issues, issues.c.id == events.c.issue_id)
        .outerjoin(groupings, _is_of_event)
        .where(events.c.id.in_(ids))
        .order_by(events.c.id.desc())
    )
    rows: Sequence[Any] = conn.execute(query).all()
    for row in rows:
        item = parse_envelope(unpack(row.body)).event()
        if item is not None:
            yield _Stored(
                read_event(item.payload, event_id=row.event_id, received_at=row.received_at), row
            )


def _find_issues(conn: Connection, moves: list[Move]) -> None:
    """Set the issue of each move whose key belongs to an existing issue."""
    found = find_groupings(conn, {move.key for move in moves})
    for move in moves:
        move.issue_id = found[move.key].issue_id if move.key in found else None
