"""Issues become one, and are taken apart again: their counts are always those of the events."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import Connection, func, select, update

from app.events.tables import envelopes, events
from app.intake.pruning import remove_batch
from app.intake.retention import purge_deleted
from app.issues import merging, moving, triage
from app.issues.groupings import groupings_of
from app.issues.moving import finish_moves
from app.issues.over_time import roll_up
from app.issues.queries import find_issue, list_issues, transitions_of
from app.issues.tables import (
    groupings,
    issue_days,
    issue_hours,
    issue_moves,
    issue_tags,
    issues,
)
from app.protocol.envelope import Envelope, Item
from app.stats.tables import affected_days
from app.stats.users import ISSUE, day_number
from app.store import Store, utc_now
from tests.conftest import parts_of

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
BUGS, USERS = 5, 4


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


def send(app: Flask, bug: int = 0, user: int | None = None, project: int = 1, **more: Any) -> Any:
    """Store an event of a bug and return its row."""
    event_id = uuid.uuid4().hex
    values = [{"type": f"Bug{bug}", "value": "it broke"}]
    payload: dict[str, Any] = {"exception": {"values": values}, **more}
    if user is not None:
        payload["user"] = {"id": str(user)}
    envelope = Envelope({"event_id": event_id}, [Item({"type": "event"}, payload)])
    parts_of(app).intake.accept(envelope, project_id=project, timeout_s=10)
    with parts_of(app).store.read() as conn:
        return conn.execute(select(events).where(events.c.event_id == event_id)).one()


def merge(store: Store, *ids: int, batches: int | None = None) -> int:
    """Merge issues, and move so many batches of their events; all of them where none is named."""
    with store.write() as conn:
        stays = merging.merge(conn, ids, "ada")
    move(store, batches)
    return stays


def unmerge(store: Store, issue_id: int, *hashes: str, batches: int | None = None) -> list[int]:
    with store.write() as conn:
        made = merging.unmerge(conn, issue_id, hashes, "ada")
    move(store, batches)
    return made


def move(store: Store, batches: int | None = None) -> None:
    if batches != 0:
        finish_moves(store, batches)


def hashes_of(store: Store, issue_id: int) -> list[str]:
    with store.read() as conn:
        return [row.hash for row in groupings_of(conn, issue_id)]


def groupings_rows(store: Store, issue_id: int) -> list[Any]:
    with store.read() as conn:
        return list(groupings_of(conn, issue_id))


def all_issues(store: Store) -> list[Any]:
    with store.read() as conn:
        return list_issues(conn, limit=1000)


def counted(store: Store, issue: Any) -> dict[str, Any]:
    """Return what is counted of an issue."""
    of_issue = issue.id
    with store.read() as conn:
        tags = conn.execute(select(issue_tags).where(issue_tags.c.issue_id == of_issue))
        days = conn.execute(
            select(affected_days).where(
                affected_days.c.kind == ISSUE, affected_days.c.of_id == of_issue
            )
        )
        return {
            "times_seen": issue.times_seen,
            "stored": issue.stored_event_count,
            "users": issue.users,
            "first_seen": issue.first_seen,
            "last_seen": issue.last_seen,
            "first_release": issue.first_release,
            "last_release": issue.last_release,
            "tags": {(row.key, row.value): row.times_seen for row in tags},
            "events": events_by_day(conn, of_issue),
            "days": {row.day: row.users for row in days},
        }


def events_by_day(conn: Connection, issue_id: int) -> dict[int, int]:
    """Return the events of an issue by day, whether the hours of the day were summed up or not."""
    hour, day = issue_hours.c, issue_days.c
    hours = select(hour.hour, hour.events).where(hour.issue_id == issue_id, hour.events > 0)
    found: Counter[int] = Counter()
    for number, events_ in conn.execute(hours):
        found[number // 24] += events_
    for number, events_ in conn.execute(
        select(day.day, day.events).where(day.issue_id == issue_id)
    ):
        found[number] += events_
    return dict(found)


def recounted(sent: list[Any], store: Store, issue: Any) -> dict[str, Any]:
    """Return the same, told by the events that were sent and are in the issue now."""
    with store.read() as conn:
        ids = set(conn.scalars(select(events.c.event_id).where(events.c.issue_id == issue.id)))
    own = [one for one in sent if one["row"].event_id in ids]
    rows = [one["row"] for one in own]
    met = {
        (day_number(one["row"].timestamp), one["user"]) for one in own if one["user"] is not None
    }
    names = ("level", "release")
    return {
        "times_seen": len(own),
        "stored": len(own),
        "users": len({user for _, user in met}),
        "first_seen": min(row.timestamp for row in rows),
        "last_seen": max(row.timestamp for row in rows),
        "first_release": rows[0].release,
        "last_release": rows[-1].release,
        "tags": dict(
            Counter((name, getattr(row, name)) for row in rows for name in names)
            + Counter(("bug", str(one["bug"])) for one in own)
        ),
        "events": dict(Counter(day_number(row.timestamp) for row in rows)),
        "days": dict(Counter(day for day, _ in met)),
    }


def change(store: Store, chosen: random.Random) -> None:
    """Merge two issues or take one apart; what is cut off on the way goes on now and then.

    What is refused, since events of it are on their way, changes nothing.
    """
    there, batches = all_issues(store), chosen.choice([None, 0, 1])
    try:
        if chosen.random() < 0.5:
            merge(store, *(one.id for one in chosen.sample(there, 2)), batches=batches)
            return
        one = chosen.choice(there)
        hashes = hashes_of(store, one.id)
        if len(hashes) > 1:
            unmerge(store, one.id, *chosen.sample(hashes, len(hashes) // 2), batches=batches)
    except merging.StillMoving:
        move(store, chosen.randrange(2))


def shuffle(app: Flask, seed: int) -> list[dict[str, Any]]:
    """Send, merge and unmerge at random, and return what was sent; moves may still be pending."""
    chosen, store, sent = random.Random(seed), parts_of(app).store, []
    with time_machine.travel(START, tick=True) as clock:
        for step in range(60):
            clock.shift(timedelta(hours=chosen.choice([0, 0, 1, 20])))
            if chosen.random() < 0.6 or len(all_issues(store)) < 2:
                bug, user = chosen.randrange(BUGS), chosen.choice([None, *range(USERS)])
                row = send(app, bug, user, release=f"shop@{step // 10}", tags={"bug": str(bug)})
                sent.append({"row": row, "bug": bug, "user": user})
            else:
                change(store, chosen)
            if step % 10 == 9:
                roll_up(store, utc_now())
            assert sum(issue.times_seen for issue in all_issues(store)) == len(sent)
    return sent


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BATCH_SIZE", "BATCH_READ"):
        monkeypatch.setattr(moving, name, 2)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("seed", range(6))
def test_every_count_is_that_of_the_events_whatever_was_merged_and_unmerged(
    app: Flask, store: Store, seed: int
) -> None:
    sent = shuffle(app, seed)
    finish_moves(store)
    for issue in all_issues(store):
        assert counted(store, issue) == recounted(sent, store, issue)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("seed", range(3))
def test_sums_stay_the_same_where_events_were_pruned(app: Flask, store: Store, seed: int) -> None:
    sent, chosen = shuffle(app, seed), random.Random(seed)
    with store.read() as conn:
        ids = list(conn.scalars(select(envelopes.c.id)))
    with store.write() as conn:
        remove_batch(conn, chosen.sample(ids, len(ids) // 2))
    for _ in range(10):
        if len(all_issues(store)) > 1:
            change(store, chosen)
        found = all_issues(store)
        assert sum(one.times_seen for one in found) == len(sent)
        assert all(min(one.times_seen, one.stored_event_count, one.users) >= 0 for one in found)
    finish_moves(store)
    stored = sum(issue.stored_event_count for issue in all_issues(store))
    assert stored == len(ids) - len(ids) // 2


def test_events_that_come_later_go_where_their_grouping_went(app: Flask, store: Store) -> None:
    first, second = send(app, 1).issue_id, send(app, 2).issue_id
    stays = merge(store, second, first)
    assert stays == first
    assert send(app, 2).issue_id == first
    (apart,) = unmerge(store, first, hashes_of(store, first)[0])
    assert send(app, 2).issue_id == apart != first
    assert send(app, 1).issue_id == first


def test_issue_that_was_merged_leads_to_the_one_that_stayed(app: Flask, store: Store) -> None:
    ids = [send(app, bug).issue_id for bug in range(3)]
    merge(store, ids[1], ids[2])
    merge(store, ids[0], ids[1])
    with store.read() as conn:
        found = [find_issue(conn, number) for number in ids]
    assert [row and row.id for row in found] == [ids[0]] * 3
    assert [row.id for row in all_issues(store)] == [ids[0]]


def test_merging_and_unmerging_stand_in_the_history_with_who_did_it(
    app: Flask, store: Store
) -> None:
    first, second = send(app, 1).issue_id, send(app, 2).issue_id
    with store.write() as conn:
        triage.comment(conn, second, "known since May", "eve")
    merge(store, first, second)
    (apart,) = unmerge(store, first, hashes_of(store, first)[0])
    with store.read() as conn:
        told = [(row.kind, row.actor, row.note) for row in transitions_of(conn, first)]
        of_new = [(row.kind, row.actor, row.note) for row in transitions_of(conn, apart)]
    assert told[:2] == [
        ("unmerged", "ada", f"into issue {apart}"),
        ("merged", "ada", f"issue {second}: Bug2: it broke"),
    ]
    assert ("commented", "eve", "known since May") in told
    assert of_new == [("unmerged", "ada", f"from issue {first}"), ("first_seen", None, None)]
    assert [kind for kind, _, _ in told].count("first_seen") == 1


def test_merge_that_was_cut_off_is_finished_later(app: Flask, store: Store) -> None:
    first, second = send(app, 1).issue_id, send(app, 2).issue_id
    with store.write() as conn:
        merging.merge(conn, [first, second], "ada")
    with store.read() as conn:  # As a process leaves it that is killed now.
        assert conn.scalar(select(func.count()).select_from(issue_moves)) == 1
        row = find_issue(conn, first)
    assert row is not None and (row.times_seen, row.stored_event_count) == (2, 1)
    assert finish_moves(store)
    with store.read() as conn:
        assert set(conn.scalars(select(events.c.issue_id))) == {first}


def test_issue_deleted_while_events_are_on_their_way_to_it_takes_them_along(
    app: Flask, store: Store
) -> None:
    first, second = send(app, 1).issue_id, send(app, 2).issue_id
    with store.write() as conn:
        merging.merge(conn, [first, second], "ada")
        triage.delete(conn, [first])
    purge_deleted(store)
    finish_moves(store)
    with store.read() as conn:
        for table in (issues, events, envelopes, groupings, issue_moves):
            assert conn.scalar(select(func.count()).select_from(table)) == 0, table.name
    assert send(app, 2).issue_id is not None


@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        (lambda ids: ids[:1], "2 to 100"),
        (lambda ids: [ids[0], ids[0]], "2 to 100"),
        (lambda ids: [ids[0], 999], "no issue has the id 999"),
    ],
)
def test_what_cannot_be_merged_is_refused_with_the_reason(
    app: Flask, store: Store, wrong: Any, because: str
) -> None:
    ids = [send(app, 1).issue_id, send(app, 2).issue_id]
    with pytest.raises(merging.CannotMerge, match=because), store.write() as conn:
        merging.merge(conn, wrong(ids), "ada")
    assert [row.times_seen for row in all_issues(store)] == [1, 1]


def test_last_grouping_cannot_be_taken_out(app: Flask, store: Store) -> None:
    issue = send(app).issue_id
    with pytest.raises(merging.CannotMerge, match="has to stay"), store.write() as conn:
        merging.unmerge(conn, issue, hashes_of(store, issue), "ada")
    with pytest.raises(merging.CannotMerge, match="no grouping"), store.write() as conn:
        merging.unmerge(conn, issue, ["0" * 64], "ada")


def test_events_of_before_the_upgrade_are_recounted_with_their_users(
    app: Flask, store: Store
) -> None:
    first, second = send(app, 1, 1), send(app, 2, 1)
    send(app, 2, 2)
    with store.write() as conn:
        conn.execute(update(events).values(user_hash=None))
    merge(store, first.issue_id, second.issue_id)
    taken = next(
        row.hash for row in groupings_rows(store, first.issue_id) if row.key.startswith("Bug2")
    )
    (apart,) = unmerge(store, first.issue_id, taken)
    users = {row.id: row.users for row in all_issues(store)}
    assert users == {first.issue_id: 1, apart: 2}


def test_both_issues_say_what_stayed_behind_where_events_were_pruned(
    app: Flask, store: Store
) -> None:
    first, second = send(app, 1), send(app, 2)
    send(app, 2)
    merge(store, first.issue_id, second.issue_id)
    with store.write() as conn:
        remove_batch(conn, [second.envelope_id])
    taken = next(
        row.hash for row in groupings_rows(store, first.issue_id) if row.key.startswith("Bug2")
    )
    (apart,) = unmerge(store, first.issue_id, taken)
    seen = {row.id: (row.times_seen, row.stored_event_count) for row in all_issues(store)}
    assert seen == {first.issue_id: (2, 1), apart: (1, 1)}
    with store.read() as conn:
        notes = [
            transitions_of(conn, number, limit=1)[0].note for number in (first.issue_id, apart)
        ]
    assert [note.rpartition(" ")[2] for note in notes] == ["here", "there"]
