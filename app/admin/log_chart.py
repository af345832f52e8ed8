"""The chart above the list of logs: its lines over time by level, with the range of each bar.

    query and project ── chosen_lines ── log_rates ── bars of levels, the worst at the bottom

Lines are counted by project, time and level. A list that asks for more has no chart: a chart of
other lines than those below it would be taken for theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.admin.charts import HEIGHT, LEAST, STEP, USED, frame_of, span_of
from app.admin.filters import plural
from app.insights.log_rates import Chosen, Rates, of_projects
from app.protocol.lenient import LEVELS
from app.search.projects import project_ids
from app.signals.logs.filtering import LogFilter

# Returns the address of the list from one moment to another.
Address = Callable[[datetime, datetime], str]


class LevelBars(NamedTuple):
    """The lines of one level.

    :param path: SVG path of its bars, each on top of those of the levels before.
    """

    level: str
    lines: int
    path: str


class StepMark(NamedTuple):
    """One step: where it begins, in units, its numbers, and the address of its lines.

    :param address: empty if the step has no lines.
    """

    x: int
    title: str
    address: str


class LogChart(NamedTuple):
    """The chart as the template draws it; the fields are like those of :class:`.charts.Charts`."""

    width: int
    levels: list[LevelBars]
    most: int
    ends: tuple[str, str]
    marks: list[StepMark]
    label: str


def chosen_lines(conn: Connection, filter: LogFilter) -> Chosen | None:
    """Return the lines that a filter chooses; ``None`` if they are not counted."""
    if filter.trace or filter.release or filter.environment:
        return None
    projects, levels = list[Any](), {filter.level} if filter.level else set[str](LEVELS)
    if filter.project_id is not None:
        projects.append(of_projects([filter.project_id]))
    for term in filter.parsed.terms:
        if term.key == "project":
            named = of_projects(project_ids(conn, term, filter.project_id))
            projects.append(~named if term.is_negated else named)
        elif term.key == "level":
            asked = {value.text for value in term.values}
            levels = levels - asked if term.is_negated else levels & asked
        else:
            return None
    return Chosen(projects, levels)


def log_chart(rates: Rates, address: Address) -> LogChart | None:
    """Return the chart of lines; ``None`` if there are none."""
    totals = Counter[str]()
    for step in rates.steps:
        totals.update(step.lines)
    if not totals:
        return None
    length = timedelta(seconds=rates.interval_s)
    sums = [sum(step.lines.values()) for step in rates.steps]
    words = [_words(step.lines) for step in rates.steps]
    frame = frame_of(words, rates.steps[0].at, length)
    # The list of a step has the lines that are counted in it, also if the range cuts it.
    addresses = [
        address(max(step.at, rates.since), min(step.at + length, rates.until)) if step.lines else ""
        for step in rates.steps
    ]
    marks = [
        StepMark(mark.x, mark.title, one)
        for mark, one in zip(frame["marks"], addresses, strict=True)
    ]
    paths = dict(_bars([step.lines for step in rates.steps], max(sums)))
    return LogChart(
        width=frame["width"],
        levels=[LevelBars(one, totals[one], paths[one]) for one in LEVELS if totals[one]],
        most=max(sums),
        ends=frame["ends"],
        marks=marks,
        label=f"{_words(totals)}; at most {max(sums):,} in {span_of(length)}",
    )


def _bars(steps: Sequence[Mapping[str, int]], most: int) -> Iterator[tuple[str, str]]:
    """Yield each level with the path of its bars; a level without lines in a step has none."""
    tops = [float(HEIGHT)] * len(steps)
    for level in LEVELS:
        parts = []
        for number, lines in enumerate(steps):
            if count := lines.get(level, 0):
                height = max(count / most * HEIGHT * USED, LEAST)
                across = f"h{STEP - 2}v{height:.1f}z"
                parts.append(f"M{number * STEP + 1} {tops[number]:.1f}v-{height:.1f}{across}")
                tops[number] -= height
        yield level, "".join(parts)


def _words(lines: Mapping[str, int]) -> str:
    if not lines:
        return "no line"
    parts = ", ".join(f"{lines[level]:,} {level}" for level in LEVELS if lines.get(level))
    return f"{plural(sum(lines.values()), 'line')} ({parts})"
