"""Leases: one holder at a time, and a dead one is noticed at once by those who can look."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta

import psutil
import pytest

from app.store import Store, utc_now
from app.store.leases import claim, is_dead, new_owner, release
from config import ROOT
from tests.lease_expiry import let_leases_pass
from tests.server_process import wait_for

MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    store.open()
    yield store
    store.dispose()


def owner_that_ended() -> str:
    """The name that a process had which is no more."""
    code = "from app.store.leases import new_owner; print(new_owner())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_lease_is_held_by_one_until_it_runs_out(store: Store) -> None:
    one, other = new_owner(), new_owner()
    assert claim(store, "work", one, MINUTE)
    assert not claim(store, "work", other, MINUTE)
    assert claim(store, "work", one, MINUTE)
    let_leases_pass(store, 2 * MINUTE)
    assert claim(store, "work", other, MINUTE)
    assert not claim(store, "work", one, MINUTE)


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_of_a_host_decides_about_leases_only_where_there_is_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    one, other = new_owner(), new_owner()
    assert claim(store, "work", one, MINUTE)
    real_now = utc_now
    monkeypatch.setattr("app.store.leases.utc_now", lambda: real_now() + timedelta(hours=hours))
    takes_over = store.is_sqlite and hours > 0
    assert claim(store, "work", other, MINUTE) is takes_over


@pytest.mark.parametrize("hours", [-1, 1])
def test_lease_lasts_as_long_as_asked_for_on_a_host_whose_clock_is_wrong(
    store: Store, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    one, other = new_owner(), new_owner()
    real_now = utc_now
    with monkeypatch.context() as wrong:
        wrong.setattr("app.store.leases.utc_now", lambda: real_now() + timedelta(hours=hours))
        assert claim(store, "work", one, MINUTE)
        assert not claim(store, "work", other, MINUTE)
        let_leases_pass(store, 2 * MINUTE)
        assert claim(store, "work", other, MINUTE)
    if not store.is_sqlite:
        assert not claim(store, "work", one, MINUTE)
        let_leases_pass(store, 2 * MINUTE)
        assert claim(store, "work", one, MINUTE)


def test_lease_of_a_process_that_died_is_taken_over_at_once(store: Store) -> None:
    dead = owner_that_ended()
    assert is_dead(dead)
    assert claim(store, "work", dead, MINUTE)
    assert claim(store, "work", new_owner(), MINUTE)


def test_process_that_ended_and_nobody_waited_for_is_dead() -> None:
    code = "from app.store.leases import new_owner; print(new_owner())"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        owner = process.stdout.read().strip()
        wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        assert is_dead(owner)


def test_process_goes_on_to_live_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = new_owner()
    # What the kernel calls the time of the boot moves with the clock.
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: 0.0)
    assert not is_dead(owner)


def test_pid_that_another_process_has_now_is_dead() -> None:
    host, pid, started, where, rest = new_owner().split(":")
    assert is_dead(":".join([host, pid, str(int(started) + 1), where, rest]))


@pytest.mark.parametrize(
    "owner", ["somebody", "host:1:2:elsewhere-1:aaaa", "host:99999999:1::aaaa", "a:b:c:d:e"]
)
def test_owner_elsewhere_is_never_called_dead(store: Store, owner: str) -> None:
    assert not is_dead(owner)
    assert claim(store, "work", owner, MINUTE)
    assert not claim(store, "work", new_owner(), MINUTE)


def test_lease_that_is_given_back_is_free_and_only_its_owner_can(store: Store) -> None:
    one, other = new_owner(), new_owner()
    assert claim(store, "work", one, MINUTE)
    release(store, "work", other)
    assert not claim(store, "work", other, MINUTE)
    release(store, "work", one)
    assert claim(store, "work", other, MINUTE)


def test_many_who_ask_at_once_for_the_lease_of_a_dead_one_get_it_once(store: Store) -> None:
    claim(store, "work", owner_that_ended(), MINUTE)
    got: list[bool] = []
    barrier = threading.Barrier(6)

    def ask() -> None:
        barrier.wait()
        got.append(claim(store, "work", new_owner(), MINUTE))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 5 + [True]
