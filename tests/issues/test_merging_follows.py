"""What is kept of an issue elsewhere follows it when it is merged and when it is taken apart."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.delivery.outbox import Due
from app.delivery.sampling import CAPPED, Sampling, count_sent
from app.intake.pruning import remove_batch
from app.issues.moving import finish_moves
from app.issues.similarity_index import read_unread
from app.issues.tables import issue_similarity, issues
from app.stats import users as affected
from app.stats.user_expiry import forget_beyond
from app.stats.users import MAX_USERS, day_number
from app.store import Store, metadata, utc_now
from tests import feedback_envelopes
from tests.conftest import parts_of
from tests.issues.test_merging import all_issues, groupings_rows, merge, send, unmerge

# What becomes of each column that names an issue, where issues are merged and taken apart. A new
# one has to be decided upon, and stands here then.
DECIDED = {
    "events.issue_id": "moves in batches, both ways",
    "groupings.issue_id": "moves at once, both ways",
    "feedback.issue_id": "moves with the merge, and with the event that it is about",
    "transitions.issue_id": "moves with the merge; when a grouping was new goes with its event",
    "issue_hours.issue_id": "added up; taken along with each event",
    "issue_days.issue_id": "added up; taken along with each event",
    "issue_tags.issue_id": "added up; taken along with each event",
    "affected_users.of_id": "united; recounted",
    "affected_days.of_id": "united; recounted",
    "issue_likeness.issue_id": "goes; read again",
    "issue_terms.issue_id": "goes; read again",
    "issue_deliveries.issue_id": "added up; stays where it was sent",
    "noticed_issues.issue_id": "the later one counts; counts for both",
    "held_issues.issue_id": "held once; stays what matched",
    "notices.issue_id": "stays: it is what was said then, and the id leads on",
    "open_incidents.issue_id": "waits for the one that stays",
    "notice_issues.issue_id": "stays: it is what was said then, and the id leads on",
    "remembered_fixes.issue_id": "the newer one counts; stays where it was written",
    "issues.merged_into": "leads to the one that stays",
    "search_stale_issues.issue_id": "both are marked when the last event has moved",
    "issue_moves.from_issue_id": "no two at a time",
    "issue_moves.to_issue_id": "no two at a time",
}


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


def take_out(store: Store, issue_id: int, bug: int) -> int:
    """Take a bug's grouping out of an issue and return the new one."""
    key = f"Bug{bug}"
    taken = next(row.hash for row in groupings_rows(store, issue_id) if row.key.startswith(key))
    (made,) = unmerge(store, issue_id, taken)
    return made


def users(store: Store) -> dict[int, int]:
    return {row.id: row.users for row in all_issues(store)}


def test_every_column_that_names_an_issue_is_decided_upon(app: Flask) -> None:
    named = {
        str(column)
        for table in metadata.tables.values()
        for column in table.c
        if column.name in ("issue_id", "of_id")
        or any(key.target_fullname == "issues.id" for key in column.foreign_keys)
    }
    assert named == set(DECIDED)


# ---- users --------------------------------------------------------------------------------------


@pytest.fixture
def bounded(app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An issue of two bugs with 12 users, more than are counted, who came on another day."""
    monkeypatch.setattr(affected, "MAX_USERS", 10)
    first = [send(app, 1, user) for user in range(6)]
    second = [send(app, 2, user) for user in range(4, 12)]
    merge(store, first[0].issue_id, second[0].issue_id)
    forget_beyond(store, [first[0].issue_id], day_number(utc_now()) + 1)
    return first[0]


def test_users_at_their_bound_stay_there_by_a_merge(app: Flask, store: Store) -> None:
    first, second = send(app, 1, 1).issue_id, send(app, 2, 2).issue_id
    with store.write() as conn:
        conn.execute(update(issues).where(issues.c.id == second).values(users=MAX_USERS))
    merge(store, first, second)
    assert all_issues(store)[0].users >= MAX_USERS


def test_users_beyond_the_bound_are_counted_by_the_events_that_are_there(
    app: Flask, store: Store, bounded: Any
) -> None:
    made = take_out(store, bounded.issue_id, 2)
    assert users(store) == {bounded.issue_id: 6, made: 8}
    for user in (0, 5):
        send(app, 1, user)
    send(app, 2, 11)
    assert users(store) == {bounded.issue_id: 6, made: 8}  # They were known.


def test_users_at_their_bound_stay_there_where_events_are_missing(
    store: Store, bounded: Any
) -> None:
    with store.write() as conn:
        remove_batch(conn, [bounded.envelope_id])
    made = take_out(store, bounded.issue_id, 2)
    found = users(store)
    assert found[bounded.issue_id] >= 10 and found[made] == 8


# ---- what was said, and when it was new ---------------------------------------------------------


def test_feedback_goes_with_the_event_that_it_is_about(app: Flask, store: Store) -> None:
    first, second = send(app, 1), send(app, 2)
    for row in (first, second):
        feedback_envelopes.send(
            app, feedback_envelopes.feedback_item(f"about {row.event_id}", row.event_id)
        )
    merge(store, first.issue_id, second.issue_id)
    assert len(feedback_envelopes.said(app, issue_id=first.issue_id)) == 2
    made = take_out(store, first.issue_id, 2)
    for row, issue_id in ((first, first.issue_id), (second, made)):
        (feedback,) = feedback_envelopes.said(app, issue_id=issue_id)
        assert feedback.message == f"about {row.event_id}"


def test_feedback_that_comes_while_its_event_is_on_the_way_arrives(
    app: Flask, store: Store
) -> None:
    first, second = send(app, 1), send(app, 2)
    merge(store, first.issue_id, second.issue_id, batches=0)
    feedback_envelopes.send(app, feedback_envelopes.feedback_item("dead", second.event_id))
    finish_moves(store)
    assert [row.message for row in feedback_envelopes.said(app, issue_id=first.issue_id)] == [
        "dead"
    ]


def test_issues_are_compared_by_the_events_that_they_have_now(app: Flask, store: Store) -> None:
    first, second = send(app, 1).issue_id, send(app, 2).issue_id
    read_unread(store, 10)
    merge(store, first, second)
    made = take_out(store, first, 1)
    read_unread(store, 10)
    with store.read() as conn:
        found = {row.issue_id: row.terms.split() for row in conn.execute(select(issue_similarity))}
    assert "t:bug2" in found[first] and "t:bug1" not in found[first]
    assert "t:bug1" in found[made]


# ---- what is sent on ----------------------------------------------------------------------------


def make_due(number: int, issue_id: int) -> Due:
    values: dict[str, Any] = dict.fromkeys(Due._fields)
    values |= {"id": number, "project_id": 1, "item_types": ("event",), "attempts": 0}
    values |= {"priority": 1, "received_at": utc_now(), "size_bytes": 100, "issue_id": issue_id}
    return Due(**values)


def test_cap_of_an_hour_counts_what_was_sent_of_both_issues(app: Flask, store: Store) -> None:
    first, second, now = send(app, 1).issue_id, send(app, 2).issue_id, utc_now()
    with store.write() as conn:
        count_sent(conn, [first, second, second], now)
    stays = merge(store, first, second)
    due = [make_due(number, stays) for number in (1, 2)]
    with store.read() as conn:
        spared = Sampling(per_issue_and_hour=4).decide(conn, due, [], now)
    assert spared == {2: CAPPED}
