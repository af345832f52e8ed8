"""An ignored issue is open again when its condition holds, and its history says why."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import Row, select

from app.insights.releases import announce
from app.issues import merging, triage
from app.issues.groupings import groupings_of
from app.issues.ignore_until import IgnoreUntil, words_of
from app.issues.moving import finish_moves
from app.issues.queries import find_issue, transitions_of
from app.issues.tables import ENDS_BY_ITSELF, issues
from app.issues.unignoring import end_ignoring
from app.stats.users import MAX_USERS
from app.store import Store, utc_now
from tests.admin.hostile import insert
from tests.conftest import parts_of

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def happen(
    app: Flask, times: int = 1, bug: str = "bug", user: str | None = None, **more: Any
) -> None:
    for _ in range(times):
        payload = {"message": bug, "timestamp": utc_now().timestamp(), **more}
        insert(app, payload | ({"user": {"id": user}} if user else {}))


def ignore(store: Store, issue_id: int = 1, **until: Any) -> None:
    condition = IgnoreUntil(**until)
    with store.write() as conn:
        assert triage.ignore(conn, [issue_id], "ada", until=condition) == [issue_id]


def issue(store: Store, issue_id: int = 1) -> Row[Any]:
    with store.read() as conn:
        found = find_issue(conn, issue_id)
    assert found is not None
    return found


def is_ignored(store: Store, issue_id: int = 1) -> bool:
    """Evaluate the conditions, and return whether the issue is still ignored."""
    end_ignoring(store, utc_now())
    return bool(issue(store, issue_id).status == "ignored")


def last_row(store: Store, issue_id: int = 1) -> Row[Any]:
    with store.read() as conn:
        return transitions_of(conn, issue_id, limit=1)[0]


# ---- each condition -----------------------------------------------------------------------------


def test_time_ends_it_to_the_second_and_its_history_says_so(
    app: Flask, store: Store, clock: Any
) -> None:
    happen(app)
    ignore(store, at=NOON + HOUR)
    happen(app, 50)
    clock.shift(HOUR - timedelta(seconds=1))
    assert is_ignored(store)
    clock.shift(timedelta(seconds=1))
    assert not is_ignored(store)
    row = last_row(store)
    assert (row.kind, row.actor, row.note) == ("unignored", None, "it was ignored until 13:00 UTC")
    assert row.at == utc_now() and row.alerts_due and row.event_id
    found = issue(store)
    assert (found.status, found.regressed) == ("unresolved", False)
    for name in ("ignored_by", "ignored_at", "ignore_until", "ignored_from", "ignored_events"):
        assert getattr(found, name) is None, name
    assert end_ignoring(store, utc_now()) == 0  # exactly once


def test_events_before_it_was_ignored_do_not_count(app: Flask, store: Store) -> None:
    happen(app, 30)
    ignore(store, events=5)
    happen(app, 4)
    assert is_ignored(store)
    happen(app, 1)
    assert not is_ignored(store)
    assert last_row(store).note == "5 more events since it was ignored"


def test_known_users_do_not_count(app: Flask, store: Store) -> None:
    for user in "abc":
        happen(app, user=user)
    ignore(store, users=2)
    for user in "abcabcd":
        happen(app, user=user)
    assert is_ignored(store)
    happen(app, user="e")
    assert not is_ignored(store)
    assert last_row(store).note == "2 more users since it was ignored"


def test_events_have_to_be_within_the_window(app: Flask, store: Store, clock: Any) -> None:
    happen(app, 10)
    ignore(store, events=4, window_minutes=60)
    assert is_ignored(store)  # none of the ten counts
    for _ in range(6):  # three in each hour
        clock.shift(20 * MINUTE)
        happen(app)
        assert is_ignored(store)
    clock.shift(MINUTE)
    happen(app)
    assert not is_ignored(store)
    assert last_row(store).note == "4 events within an hour"


def test_users_have_to_be_different_within_the_window(app: Flask, store: Store, clock: Any) -> None:
    happen(app, user="a")
    ignore(store, users=2, window_minutes=30)
    happen(app, 5, user="a")
    happen(app, 5)
    assert is_ignored(store)
    clock.shift(31 * MINUTE)
    happen(app, user="b")
    assert is_ignored(store)
    happen(app, user="a")
    assert not is_ignored(store)
    assert last_row(store).note == "2 users within 30 minutes"


def test_worse_is_more_than_ten_events_in_an_hour(app: Flask, store: Store, clock: Any) -> None:
    happen(app)
    clock.shift(3 * HOUR)
    ignore(store, worse=True)
    happen(app, 10)
    assert is_ignored(store)
    happen(app)
    assert not is_ignored(store)
    assert last_row(store).note == (
        "11 events in the last hour, above 10: the busiest hour of the seven days before had 1"
    )


def test_worse_is_more_than_three_times_the_busiest_hour_of_a_week(
    app: Flask, store: Store, clock: Any
) -> None:
    happen(app, 6)
    clock.shift(6 * DAY)
    ignore(store, worse=True)
    happen(app, 18)
    assert is_ignored(store)
    happen(app)
    assert not is_ignored(store)
    note = last_row(store).note
    assert note.startswith("19 events in the last hour, above 18:") and note.endswith("had 6")


def test_hours_of_more_than_a_week_ago_do_not_count(app: Flask, store: Store, clock: Any) -> None:
    happen(app, 6)
    clock.shift(7 * DAY + 2 * HOUR)
    ignore(store, worse=True)
    happen(app, 11)
    assert not is_ignored(store)


def test_burst_that_was_there_already_is_not_worse(app: Flask, store: Store, clock: Any) -> None:
    clock.shift(45 * MINUTE)
    happen(app, 20)
    ignore(store, worse=True)
    for _ in range(6):  # it goes on as before, over the turn of the hour
        clock.shift(15 * MINUTE)
        happen(app, 5)
        assert is_ignored(store)
    happen(app, 50)
    assert not is_ignored(store)


def test_last_hour_is_the_last_sixty_minutes(app: Flask, store: Store, clock: Any) -> None:
    happen(app)
    clock.shift(2 * HOUR + 50 * MINUTE)
    ignore(store, worse=True)
    happen(app, 6)
    assert is_ignored(store)
    clock.shift(15 * MINUTE)
    happen(app, 5)
    assert not is_ignored(store)


def test_next_release_ends_it_and_older_ones_do_not(app: Flask, store: Store) -> None:
    happen(app, release="shop@2.0.0")
    ignore(store, next_release=True)
    happen(app, release="shop@2.0.0")
    happen(app, bug="another", release="shop@1.9.1")  # a hotfix of an old branch
    happen(app, bug="another", release="blog@7.0.0")  # another package
    assert is_ignored(store)
    with store.write() as conn:
        announce(conn, 1, "shop@2.1.0", "ci", utc_now())
    assert not is_ignored(store)
    row = last_row(store)
    assert (row.note, row.release) == ("the next release is there", "shop@2.1.0")


# ---- what a person does meanwhile ---------------------------------------------------------------


@pytest.mark.parametrize("status", ["resolved", "unresolved"])
def test_another_decision_ends_the_condition(app: Flask, store: Store, status: str) -> None:
    happen(app)
    ignore(store, events=2)
    with store.write() as conn:
        triage.set_status(conn, [1], status, "bob")
        assert conn.scalars(select(issues.c.ignore_until)).all() == [None]
    happen(app, 5)
    end_ignoring(store, utc_now())
    assert "unignored" not in {last_row(store).kind}


def test_the_same_condition_again_changes_nothing_and_another_one_counts_anew(
    app: Flask, store: Store
) -> None:
    happen(app)
    ignore(store, events=3)
    happen(app, 2)
    with store.write() as conn:
        assert triage.ignore(conn, [1], "bob", until=IgnoreUntil(events=3)) == []
    ignore(store, events=2)
    assert is_ignored(store)
    happen(app, 2)
    assert not is_ignored(store)


def test_ignored_for_ever_stays_and_is_not_looked_at(app: Flask, store: Store) -> None:
    happen(app)
    with store.write() as conn:
        triage.ignore(conn, [1], "ada")
    happen(app, 100)
    assert is_ignored(store)
    found = issue(store)
    assert (found.ignored_by, found.ignore_until, found.ignored_from) == ("ada", None, None)
    assert found.ignored_at is not None


def test_users_beyond_the_count_cannot_be_waited_for(app: Flask, store: Store) -> None:
    happen(app)
    with store.write() as conn:
        conn.execute(issues.update().values(users=MAX_USERS - 3))
        assert triage.ignore(conn, [1], "ada", until=IgnoreUntil(users=4)) == []
        assert triage.ignore(conn, [1], "ada", until=IgnoreUntil(users=3)) == [1]


def test_deleted_issue_does_not_come_back(app: Flask, store: Store) -> None:
    happen(app)
    ignore(store, events=1)
    happen(app)
    with store.write() as conn:
        triage.delete(conn, [1])
    assert end_ignoring(store, utc_now()) == 0


# ---- merges -------------------------------------------------------------------------------------


def merge(store: Store, *ids: int) -> None:
    with store.write() as conn:
        merging.merge(conn, ids, "ada")
    finish_moves(store)


def test_events_and_users_of_a_merged_issue_do_not_count(app: Flask, store: Store) -> None:
    happen(app, user="a")
    happen(app, 9, bug="another", user="b")
    happen(app, bug="third")
    for number, until in ((1, {"events": 3}), (3, {"users": 1})):
        ignore(store, number, **until)
    happen(app, 2, user="a")
    merge(store, 1, 2)
    assert is_ignored(store)
    happen(app, bug="another", user="b")
    assert not is_ignored(store)  # two before the merge, one after it


def test_merged_issue_keeps_its_user_or_gets_that_of_the_other(app: Flask, store: Store) -> None:
    from app.accounts.tables import users

    for bug in ("one", "two", "three"):
        happen(app, bug=bug)
    with store.write() as conn:
        rows = [{"username": n, "session_key": "k", "created_at": NOON} for n in ("ada", "bob")]
        conn.execute(users.insert(), rows)
        triage.assign(conn, [2], "ada", "bob")
        triage.assign(conn, [3], "bob", "bob")
    ignore(store, 3, events=1)
    merge(store, 1, 2)
    merge(store, 1, 3)
    found = issue(store)
    assert (found.assigned_to, found.status, found.ignore_until) == ("ada", "unresolved", None)


def test_events_of_an_unmerged_grouping_no_longer_count(app: Flask, store: Store) -> None:
    happen(app, 3)
    happen(app, 9, bug="another")
    merge(store, 1, 2)
    ignore(store, events=5)
    happen(app, 4, bug="another")
    with store.write() as conn:
        hashes = {row.times_seen: row.hash for row in groupings_of(conn, 1)}
        merging.unmerge(conn, 1, [hashes[13]], "ada")
    assert is_ignored(store)  # while events move
    finish_moves(store)
    assert is_ignored(store)
    happen(app, 4)
    assert is_ignored(store)
    happen(app)
    assert not is_ignored(store)


# ---- never early --------------------------------------------------------------------------------


CONDITIONS: list[dict[str, Any]] = [
    {"events": 4},
    {"users": 3},
    {"events": 4, "window_minutes": 60},
    {"users": 3, "window_minutes": 60},
    {"at": NOON + 100 * MINUTE},
    {"worse": True},
]


@pytest.mark.one_database
@pytest.mark.parametrize("until", CONDITIONS, ids=str)
def test_no_condition_ends_early(
    app: Flask, store: Store, until: dict[str, Any], clock: Any
) -> None:
    chance = random.Random(str(until))
    for round in range(6):
        bugs = ["ABCDEF"[round] * 3, "abcdef"[round] * 4]
        for bug in bugs:
            happen(app, chance.randint(1, 6), bug=bug, user=chance.choice("abc"))
        with store.read() as conn:
            first, other = conn.scalars(select(issues.c.id).order_by(issues.c.id.desc()).limit(2))
        first, other = sorted((first, other))
        ignore(store, first, **until | ({"at": utc_now() + 100 * MINUTE} if "at" in until else {}))
        since, sent = utc_now(), []
        for _ in range(30):
            step = chance.choice(["send", "send", "send", "wait", "merge"])
            if step == "send":
                user = chance.choice("abcdefgh")
                happen(app, bug=bugs[0], user=user)
                sent.append((utc_now(), user))
            elif step == "wait":
                clock.shift(chance.choice([1, 10, 70]) * MINUTE)
            elif issue(store, other).id == other:
                merge(store, first, other)
            if not is_ignored(store, first):
                assert may_end(until, since, sent), (until, round)
                break
        clock.shift(9 * DAY)


def may_end(until: dict[str, Any], since: datetime, sent: list[tuple[datetime, str]]) -> bool:
    """Return whether a condition can hold, by what was sent to the issue since it was ignored."""
    now = utc_now()
    window = timedelta(minutes=until.get("window_minutes") or 10**6)
    recent = [(at, user) for at, user in sent if at > now - window]
    if "at" in until:
        return now >= since + 100 * MINUTE
    if "events" in until:
        return len(recent) >= until["events"]
    if "users" in until:
        return len({user for _, user in recent}) >= until["users"]
    return len([at for at, _ in sent if at > now - HOUR]) > 4


# ---- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "words"),
    [
        ({"at": NOON + 2 * HOUR}, "until 14:00 UTC"),
        ({"at": NOON + 21 * HOUR}, "until 26 Nov 09:00 UTC"),
        ({"at": NOON + 400 * DAY}, "until 30 Dec 2027 12:00 UTC"),
        ({"events": 1}, "until 1 more event"),
        ({"users": 50}, "until 50 more users"),
        ({"users": 5, "window_minutes": 60}, "until 5 users within an hour"),
        ({"events": 1000, "window_minutes": 2880}, "until 1,000 events within 2 days"),
        ({"events": 2, "window_minutes": 90}, "until 2 events within 90 minutes"),
        ({"worse": True}, "until it gets worse"),
        ({"next_release": True}, "until the next release"),
    ],
)
def test_condition_in_words(until: dict[str, Any], words: str) -> None:
    condition = IgnoreUntil(**until)
    assert words_of(condition, NOON) == words
    assert IgnoreUntil.model_validate_json(condition.stored) == condition


def test_conditions_are_found_by_their_own_index(app: Flask, store: Store) -> None:
    query = f"SELECT id FROM issues WHERE {ENDS_BY_ITSELF} AND coalesce(status, status) = 'ignored'"
    with store.read() as conn:
        if conn.dialect.name == "sqlite":
            plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query} AND id > 0 ORDER BY id").all()
            assert "ix_issues_ignored_until" in str(plan)
