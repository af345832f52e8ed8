"""Users by issue and release: exact up to the bound, forgotten after their days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from app.admin.filters import users
from app.intake.retention import USERS_KEPT, Limits, prune
from app.stats import user_expiry
from app.stats import users as affected
from app.stats.releases import Release, make
from app.stats.tables import affected_days, affected_users
from app.stats.users import (
    EVER,
    ISSUE,
    RELEASE,
    Subject,
    UserCounter,
    day_number,
    hash_of,
    of_subject,
    users_by_day,
    users_of_releases,
)
from app.stats.windows import hour_number
from app.store import Store
from tests.conftest import parts_of

MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TODAY = day_number(MONDAY)
NO_LIMITS = Limits(days=0, events=0, bytes=0)


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that a test can reach, looked at each time."""
    for module in (affected, user_expiry):
        monkeypatch.setattr(module, "MAX_USERS", 5)
    monkeypatch.setattr(affected, "LOOKS_AFTER", 1)


def meet(
    store: Store, book: UserCounter, subject: Subject, who: list[str], now: datetime = MONDAY
) -> int:
    with store.write() as conn:
        met = [(*subject, hash_of(one), hour_number(now)) for one in who]
        return book.count(conn, met, now).get(subject.of_id, 0)


def of_day(store: Store, subject: Subject, day: int = TODAY) -> int:
    with store.read() as conn:
        return users_by_day(conn, subject, day, day)[0]


def rows_of(store: Store, subject: Subject) -> int:
    with store.read() as conn:
        counted = select(func.count()).select_from(affected_users)
        return conn.scalar(counted.where(*of_subject(affected_users, subject))) or 0


def test_user_counts_once_a_day_and_subject_whichever_process_counts(store: Store) -> None:
    one, other = UserCounter(), UserCounter()
    issue, release = Subject(ISSUE, 1), Subject(RELEASE, 1)
    assert meet(store, one, issue, ["ada", "bob", "ada"]) == 2
    assert meet(store, other, issue, ["bob", "cy"]) == 1
    assert meet(store, one, release, ["ada"]) == 0  # an issue's users alone are told
    next_day = MONDAY + timedelta(days=1)
    assert meet(store, one, issue, ["ada"], next_day) == 0
    assert [of_day(store, issue, TODAY + number) for number in range(3)] == [3, 1, 0]
    with store.read() as conn:
        assert users_of_releases(conn, [1, 2]) == {1: 1}
        assert users_by_day(conn, issue, TODAY - 1, TODAY + 1) == [0, 3, 1]


def test_transaction_that_fails_counts_nobody_and_the_next_one_everybody(store: Store) -> None:
    book, issue = UserCounter(), Subject(ISSUE, 1)
    with pytest.raises(ZeroDivisionError), store.write() as conn:
        book.count(conn, [(*issue, hash_of("ada"), hour_number(MONDAY))], MONDAY)
        raise ZeroDivisionError
    assert meet(store, book, issue, ["ada"]) == 1
    assert of_day(store, issue) == 1


def test_beyond_the_bound_a_day_takes_no_more_rows_and_says_so(store: Store, few: None) -> None:
    book, release = UserCounter(), Subject(RELEASE, 1)
    for number in range(20):
        meet(store, book, release, [f"u{number}"])
    assert (of_day(store, release), rows_of(store, release)) == (5, 5)
    assert (users(9_999), users(10_000), users(12_345)) == ("9,999", "10,000+", "10,000+")
    # Another day is exact again, since those of the day before make room for it.
    tomorrow = MONDAY + timedelta(days=1)
    with store.write() as conn:
        number = make(conn, [Release(1, "shop@1")], first_seen=MONDAY)[Release(1, "shop@1")]
    assert number == 1
    with time_machine.travel(tomorrow, tick=False):
        prune(store, NO_LIMITS)
        assert rows_of(store, release) == 0
        for who in ("u1", "u30", "u31"):
            meet(store, book, release, [who], tomorrow)
        prune(store, NO_LIMITS)
    assert (of_day(store, release, TODAY + 1), rows_of(store, release)) == (3, 3)
    with store.read() as conn:
        assert users_of_releases(conn, [1])[1] >= affected.MAX_USERS


def test_issue_below_the_bound_keeps_everybody(store: Store, few: None) -> None:
    book, issue = UserCounter(), Subject(ISSUE, 1)
    meet(store, book, issue, ["ada", "bob"])
    with time_machine.travel(MONDAY + timedelta(days=2), tick=False):
        prune(store, NO_LIMITS)
    assert rows_of(store, issue) == 2


def test_who_was_not_met_for_ninety_days_is_forgotten_with_the_days(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_expiry, "BATCH_SIZE", 2)
    book, issue, gone = UserCounter(), Subject(ISSUE, 1), Subject(RELEASE, 9)
    meet(store, book, issue, [f"u{number}" for number in range(7)])
    meet(store, book, gone, ["u1"])
    later = MONDAY + timedelta(days=30)
    meet(store, book, issue, ["u1", "u2"], later)
    with time_machine.travel(MONDAY + USERS_KEPT, tick=False):
        prune(store, NO_LIMITS)
        assert rows_of(store, issue) == 7 and of_day(store, issue) == 7
    with time_machine.travel(MONDAY + USERS_KEPT + timedelta(days=1), tick=False):
        prune(store, NO_LIMITS)
    assert (rows_of(store, issue), of_day(store, issue)) == (2, 0)
    assert of_day(store, issue, TODAY + 30) == 2
    # Of a release that is not kept any more nothing is left, not even its count in all.
    assert rows_of(store, gone) == 0 and of_day(store, gone, EVER) == 0
    with store.read() as conn:
        kinds = set(conn.execute(select(affected_days.c.kind).distinct()).scalars())
    assert kinds == {ISSUE}
    assert meet(store, book, issue, ["u5"], MONDAY + USERS_KEPT + timedelta(days=2)) == 1
