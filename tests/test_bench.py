"""`make bench`: parts by name, one figure a line, and a history that says what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import history
from benchmarks.envelopes import SHAPES, envelope_of
from benchmarks.goals import Figure, printed
from config import ROOT

pytestmark = pytest.mark.one_database


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_help_lists_every_part_and_measures_nothing() -> None:
    done = run("only=--help")
    assert done.returncode == 0, done.stderr
    assert all(f"\n  {name} " in done.stdout for name in bench.PARTS)
    assert "met" not in done.stdout.split() and "MISSED" not in done.stdout


def test_part_that_does_not_exist_is_refused() -> None:
    done = run("only=ingest speed")
    assert done.returncode != 0 and "no part is called speed" in done.stderr


@pytest.mark.parametrize("name", bench.PARTS)
def test_every_part_can_be_measured(name: str) -> None:
    program = f"from benchmarks.__main__ import PARTS; PARTS[{name!r}].measure()"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_figure_is_one_line_with_value_goals_and_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = [
        Figure("rate", 0.25, 0.2, 0.3, more_is_better=True),
        Figure("wait", 7, 5),
        Figure("events a second", 1234.5),
    ]
    assert [figure.is_met for figure in printed(figures)] == [True, False, True]
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [
        ["rate", "0.25", "≥", "0.2", "≥", "0.3", "met"],
        ["wait", "7", "≤", "5", "MISSED"],
        ["events", "a", "second", "1,234"],
    ]


def test_only_the_chosen_part_runs_and_its_figures_are_kept_with_the_commit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def measure(part: bench.Part) -> Iterator[Figure]:
        yield Figure(part.module, 0.123456, 0.1)

    monkeypatch.setattr(bench.Part, "measure", measure)
    monkeypatch.setattr(history, "bare_ms", lambda: 0.2149)
    monkeypatch.setattr(history, "HISTORY", tmp_path / "history.jsonl")
    assert not bench.main(["similar"], records=True)
    (line,) = (tmp_path / "history.jsonl").read_text().splitlines()
    entry = json.loads(line)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True)
    assert commit.startswith(entry["commit"])
    assert entry["part"] == "similar" and entry["bare_ms"] == 0.215
    assert entry["figures"] == {"similar": 0.1235} and "is_dirty" in entry
    assert bench.main([], records=False)
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_events_of_every_shape_have_16_kb(shape: str) -> None:
    assert 16_000 < len(envelope_of(SHAPES[shape](3, 7))) < 18_000
