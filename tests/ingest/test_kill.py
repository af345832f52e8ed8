"""Whoever got a 200 finds the event there, whatever was killed meanwhile."""

from __future__ import annotations

from pathlib import Path

from benchmarks.chaos_door import kill_door


def test_events_that_got_a_200_are_there_after_sigkill_under_load(tmp_path: Path) -> None:
    answered, lost = kill_door(tmp_path / "data", rounds=2)
    assert answered > 2
    assert lost == 0
