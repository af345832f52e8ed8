"""The short form of `make chaos`: kills and a moody upstream lose nothing, at either door."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.delivery.destination_sender import CONNECTIONS
from benchmarks import chaos_run, chaos_table
from benchmarks.chaos_audit import overlaps_without_kill, repeats_of
from benchmarks.chaos_run import Plan
from benchmarks.sdk_alone import SCENARIOS


def test_kills_and_a_moody_upstream_lose_nothing_and_the_accounting_adds_up(
    tmp_path: Path, database_url: str
) -> None:
    plan = Plan(events=150, kills=3, once=(), mood_s=(0.1, 0.5), database_url=database_url)
    outcome = chaos_run.run(plan, tmp_path / "data")
    assert outcome.wrong() == []
    assert outcome.kills >= 3
    assert outcome.arrived + sum(outcome.explained.values()) >= sum(outcome.answered.values())
    assert sum(outcome.answered.values()) >= 150


@pytest.mark.parametrize("door", chaos_table.DOORS)
def test_sigkill_after_fifty_captures_loses_nothing(door: str) -> None:
    found = chaos_table.measure(SCENARIOS[-1], door, latency_s=0.01)
    assert (found.row.captured, found.row.lost, found.kills) == (50, 0, 1)
    assert found.repeats <= CONNECTIONS


def accepted(at: float, **how: object) -> dict[str, object]:
    return {
        "server": 1,
        "request": at,
        "connection": at,
        "event_id": "a",
        "event_ids": ["a"],
        "mood": "ok",
        "answered": True,
        "started": at,
        "ended": at + 0.1,
        **how,
    }


def test_audit_blames_a_repeat_on_what_caused_it() -> None:
    first, second = accepted(1.0), accepted(3.0)
    assert repeats_of([first, second], []).unexplained == [second]
    assert repeats_of([first, second], [1.5, 2.0]).by_kill == {1.5: 1}
    assert repeats_of([first, second], [0.5, 4.0]).unexplained == [second]
    assert repeats_of([accepted(1.0, answered=False), second], []).by_upstream == 1
    assert repeats_of([accepted(1.0, mood="big_body"), second], [2.0]).by_upstream == 1


def test_audit_finds_an_envelope_that_two_senders_had_at_once() -> None:
    pair = [accepted(1.0, ended=3.0), accepted(2.0)]
    assert overlaps_without_kill(pair, [5.0]) == [tuple(pair)]
    assert overlaps_without_kill(pair, [1.5]) == []
