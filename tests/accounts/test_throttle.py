"""The throttle: who has to wait, for how long, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from app.accounts import throttle as module
from app.accounts.tables import login_attempts
from app.accounts.throttle import (
    ADDRESS,
    BROWSER,
    FREE_FAILURES,
    MAX_LOCK,
    NAME,
    Attempt,
    LoginThrottle,
    network_of,
)
from app.store import Store

NONE = timedelta()
OWNER = Attempt("admin", "192.0.2.1")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    store.open()
    yield store
    store.dispose()


@pytest.fixture
def throttle(store: Store) -> LoginThrottle:
    return LoginThrottle(store)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as traveller:
        yield traveller


def fail(throttle: LoginThrottle, attempt: Attempt, times: int = 1) -> int:
    """Try a wrong password; return how many of the tries were let through."""
    return sum(throttle.claim(attempt) == NONE for _ in range(times))


def count_rows(store: Store) -> int:
    with store.read() as conn:
        return conn.scalar(select(func.count()).select_from(login_attempts)) or 0


def test_wait_doubles_with_every_wrong_try_and_ends(
    throttle: LoginThrottle, clock: time_machine.Traveller
) -> None:
    assert fail(throttle, OWNER, 10) == FREE_FAILURES
    waits = [throttle.wait(OWNER)]
    while waits[-1] < MAX_LOCK:
        clock.shift(waits[-1])
        assert fail(throttle, OWNER) == 1
        waits.append(throttle.wait(OWNER))
    assert [wait.total_seconds() for wait in waits] == [15, 30, 60, 120, 240, 480, 900]
    clock.shift(MAX_LOCK)
    assert throttle.wait(OWNER) == NONE


def test_name_is_locked_for_the_address_that_guessed_and_for_nobody_else(
    throttle: LoginThrottle, clock: time_machine.Traveller
) -> None:
    for last in range(2, 40):
        fail(throttle, Attempt("admin", f"192.0.2.{last}"), 10)
    assert throttle.wait(Attempt("ADMIN", "192.0.2.2")) > NONE
    assert throttle.wait(OWNER) == NONE
    assert throttle.wait(Attempt("ada", "192.0.2.2")) == NONE


def test_address_cannot_try_names_without_end(
    throttle: LoginThrottle, clock: time_machine.Traveller
) -> None:
    tried = sum(fail(throttle, Attempt(f"name{n}", "192.0.2.9")) for n in range(100))
    assert tried == ADDRESS.free
    assert throttle.wait(Attempt("yet another", "192.0.2.9")) > NONE
    assert throttle.wait(OWNER) == NONE


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        (None, "unknown"),
        ("unix:", "unknown"),
    ],
)
def test_address_counts_by_what_one_subscriber_has(address: str | None, network: str) -> None:
    assert network_of(address) == network


def test_known_browser_is_let_through_however_many_strangers_guess(
    throttle: LoginThrottle, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Attempt("admin", OWNER.address, browser="b1")
    monkeypatch.setattr(module, "NAME", module.Limit(20, MAX_LOCK, MAX_LOCK, MAX_LOCK))
    for last in range(1, 30):
        fail(throttle, Attempt("admin", f"192.0.2.{last}"), 10)
    assert throttle.wait(OWNER) == throttle.wait(Attempt("admin", "198.51.100.1")) == MAX_LOCK
    assert throttle.claim(known) == NONE
    throttle.succeeded(known)
    assert throttle.wait(OWNER) == MAX_LOCK


def test_known_browser_has_twenty_wrong_tries_an_hour(
    throttle: LoginThrottle, clock: time_machine.Traveller
) -> None:
    known = Attempt("admin", "192.0.2.1", browser="b1")
    assert fail(throttle, known, 40) == BROWSER.free == 20
    clock.shift(timedelta(minutes=59))
    assert throttle.claim(known) == timedelta(minutes=1)
    assert throttle.wait(Attempt("admin", "192.0.2.1", browser="b2")) == NONE
    clock.shift(timedelta(minutes=2))
    assert fail(throttle, known, 40) == 20


def test_guesses_from_everywhere_are_bounded_for_a_name(
    throttle: LoginThrottle, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert NAME.free == 1000
    monkeypatch.setattr(module, "NAME", module.Limit(50, MAX_LOCK, MAX_LOCK, MAX_LOCK))
    addresses = [f"198.51.100.{last}" for last in range(100)]
    assert sum(fail(throttle, Attempt("admin", address)) for address in addresses) == 50


def test_of_many_guesses_at_once_only_the_free_ones_are_let_through(
    store: Store, throttle: LoginThrottle
) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(throttle.claim, [OWNER] * 40))
    assert waits.count(NONE) == FREE_FAILURES


def test_right_password_takes_its_count_back(
    throttle: LoginThrottle, clock: time_machine.Traveller
) -> None:
    other = Attempt("ada", OWNER.address)
    for _ in range(2 * ADDRESS.free):
        assert throttle.claim(other) == NONE
        throttle.succeeded(other)
    fail(throttle, OWNER, FREE_FAILURES - 1)
    assert throttle.claim(OWNER) == NONE  # the last free one, which locks
    throttle.succeeded(OWNER)
    assert throttle.wait(OWNER) == NONE
    assert fail(throttle, OWNER, 10) == FREE_FAILURES


@pytest.mark.parametrize("back", [timedelta(minutes=10), timedelta(days=1), timedelta(days=4000)])
def test_clock_set_back_locks_nobody_for_longer(
    throttle: LoginThrottle, clock: time_machine.Traveller, back: timedelta
) -> None:
    known = Attempt("admin", OWNER.address, browser="b1")
    fail(throttle, OWNER, FREE_FAILURES)
    fail(throttle, known, BROWSER.free)
    clock.shift(-back)
    assert throttle.wait(OWNER) <= MAX_LOCK
    assert throttle.wait(known) <= BROWSER.max_lock
    clock.shift(MAX_LOCK)
    assert fail(throttle, OWNER) == 1


def test_old_rows_go_and_those_of_a_clock_set_back_too(
    store: Store, throttle: LoginThrottle, clock: time_machine.Traveller
) -> None:
    for shift in (timedelta(days=2), timedelta(days=-3)):
        fail(throttle, Attempt("ada", "192.0.2.9"))
        clock.shift(shift)
        fail(throttle, OWNER)
        assert count_rows(store) == 3  # of the pair, the address and the name


def test_many_names_and_addresses_do_not_fill_the_table(
    store: Store,
    throttle: LoginThrottle,
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 60)
    monkeypatch.setattr(module, "SURPLUS_BATCH", 20)
    for number in range(100):
        clock.shift(timedelta(seconds=1))
        fail(throttle, Attempt(f"name{number}", f"2001:db8:0:{number:x}::1"))
        assert count_rows(store) <= 60
    fail(throttle, OWNER, 10)
    assert throttle.wait(OWNER) > NONE


def test_unlocking_a_name_lets_it_in_from_every_address_that_tried(
    throttle: LoginThrottle, clock: time_machine.Traveller
) -> None:
    for name in ("admin", *(f"name{n}" for n in range(ADDRESS.free))):
        fail(throttle, Attempt(name, OWNER.address), FREE_FAILURES)
    assert throttle.wait(OWNER) > NONE
    assert throttle.unlock("Admin") == 2
    assert throttle.wait(OWNER) == NONE
    assert throttle.wait(Attempt("name0", OWNER.address)) > NONE
    assert throttle.unlock("admin") == 0
