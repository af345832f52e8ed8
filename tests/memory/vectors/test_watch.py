"""The state of an index for those who may not wait for it."""

from __future__ import annotations

import threading

import pytest

from app.memory.vectors import watch
from app.memory.vectors.watch import Watch
from tests.fake_qdrant import FakeQdrant
from tests.fake_qdrant.moods import refuses, silent
from tests.memory.vectors.conftest import MakeIndex


def test_what_was_seen_is_kept_for_a_while(fake_qdrant: FakeQdrant, index_on: MakeIndex) -> None:
    watched = Watch(index_on())
    assert watched.see(wait_s=10).failure is None
    asked = len(fake_qdrant.requests)
    fake_qdrant.mood = refuses(503, "no")
    assert watched.see(wait_s=10).failure is None
    assert len(fake_qdrant.requests) == asked


def test_failure_is_seen_with_what_was_known_before_and_recovery_too(
    fake_qdrant: FakeQdrant, index_on: MakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "FRESH_S", 0)
    watched = Watch(index_on())
    before = watched.see(wait_s=10)
    assert before.state is not None
    assert before.state.version == "1.20.0"
    fake_qdrant.mood = refuses(503, "no")
    assert watched.see(wait_s=10) == ("Qdrant answered 503: its log says why", before.state)
    fake_qdrant.mood = None
    assert watched.see(wait_s=10) == before


def test_nobody_waits_for_a_slow_index_and_it_is_asked_once(
    fake_qdrant: FakeQdrant, index_on: MakeIndex
) -> None:
    watched = Watch(index_on())
    arrived, release = threading.Event(), threading.Event()

    def hold(connection: object, stopped: threading.Event) -> None:
        arrived.set()
        release.wait(10)
        silent(connection, stopped)  # type: ignore[arg-type]

    fake_qdrant.mood = hold
    assert watched.see(wait_s=0) == (None, None)
    assert arrived.wait(10)
    for _ in range(5):
        assert watched.see(wait_s=0) == (None, None)
    assert len(fake_qdrant.requests) == 1
    release.set()
