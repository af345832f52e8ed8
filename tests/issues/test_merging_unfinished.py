"""Merges and unmerges whose events are still on their way: nothing is lost or counted twice."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.events.tables import events
from app.intake.retention import purge_deleted
from app.issues import merging, moving, triage
from app.issues.moving import finish_moves
from app.issues.tables import issues
from app.store import Store
from tests.conftest import parts_of
from tests.issues.test_merging import all_issues, groupings_rows, merge, send, unmerge

pytestmark = pytest.mark.usefixtures("two_at_a_time")


@pytest.fixture
def two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BATCH_SIZE", "BATCH_READ"):
        monkeypatch.setattr(moving, name, 2)


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


@pytest.fixture
def parted(app: Flask, store: Store) -> tuple[int, int, int]:
    """An old issue; one of 4 events that another one's 3 are taken out of; and that, with 2."""
    old = send(app, 0).issue_id
    source = [send(app, 1).issue_id for _ in range(4)][0]
    other = [send(app, 2).issue_id for _ in range(3)][0]
    merge(store, source, other)
    taken = next(row.hash for row in groupings_rows(store, source) if row.key.startswith("Bug2"))
    (made,) = unmerge(store, source, taken, batches=1)
    assert counts(store) == {old: (1, 1), source: (5, 5), made: (2, 2)}
    return old, source, made


def counts(store: Store) -> dict[int, tuple[int, int]]:
    return {row.id: (row.times_seen, row.stored_event_count) for row in all_issues(store)}


def stored(store: Store) -> dict[int, int]:
    with store.read() as conn:
        query = select(events.c.issue_id, func.count()).group_by(events.c.issue_id)
        return {issue_id: count for issue_id, count in conn.execute(query)}


@pytest.mark.parametrize("chosen", [(0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_issues_are_not_merged_before_what_was_taken_out_has_arrived(
    store: Store, parted: tuple[int, int, int], chosen: tuple[int, ...]
) -> None:
    ids, before = [parted[place] for place in chosen], counts(store)
    with pytest.raises(merging.StillMoving, match="try again in a minute"), store.write() as conn:
        merging.merge(conn, ids, "ada")
    assert counts(store) == before
    finish_moves(store)
    merge(store, *ids)
    assert sum(seen for seen, _ in counts(store).values()) == 8
    assert {number: count for number, (_, count) in counts(store).items()} == stored(store)
    with store.read() as conn:
        assert conn.scalar(select(func.min(issues.c.times_seen))) == 0


def test_issue_is_not_taken_apart_before_what_was_merged_into_it_has_arrived(
    app: Flask, store: Store
) -> None:
    first, second = send(app, 1).issue_id, send(app, 2).issue_id
    merge(store, first, second, batches=0)
    taken = groupings_rows(store, first)[0].hash
    with pytest.raises(merging.StillMoving), store.write() as conn:
        merging.unmerge(conn, first, [taken], "ada")
    finish_moves(store)
    (made,) = unmerge(store, first, taken)
    assert counts(store) == {first: (1, 1), made: (1, 1)}


def test_what_was_taken_out_of_an_issue_outlives_it(
    store: Store, parted: tuple[int, int, int]
) -> None:
    old, source, made = parted
    with store.write() as conn:
        triage.delete(conn, [source])
    for work in (purge_deleted, finish_moves, purge_deleted):
        work(store)
    assert counts(store) == {old: (1, 1), made: (3, 3)}
    assert stored(store) == {old: 1, made: 3}


def test_what_was_taken_out_and_deleted_goes_with_the_events_that_had_not_arrived(
    store: Store, parted: tuple[int, int, int]
) -> None:
    old, source, made = parted
    with store.write() as conn:
        triage.delete(conn, [made])
    for work in (purge_deleted, finish_moves, purge_deleted):
        work(store)
    assert counts(store) == {old: (1, 1), source: (4, 4)}
    assert stored(store) == {old: 1, source: 4}


def test_process_that_comes_late_to_a_move_moves_nothing(
    store: Store, parted: tuple[int, int, int]
) -> None:
    _, source, made = parted
    begun: Any = moving._oldest(store)  # As a process has it that another one overtakes.
    finish_moves(store)
    merge(store, source, made)
    before = counts(store)
    assert list(moving._batches_of(store, begun)) == []
    moving._finish(store, begun)
    assert counts(store) == before
