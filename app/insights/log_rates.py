"""How many lines of logs were written over time, by level.

Counts are kept by the minute for two days and then by the hour (:mod:`app.stats.log_counts`). So
the steps of a range are as short as its counts, and there are at most MAX_STEPS. What a range cuts
off from its first and last step is not counted, as exactly as the counts are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, cast, func, select

from app.inputs.period import DAY_S, HOUR_S, Range, floor
from app.insights.reading import written_out
from app.stats.additive import day_of, minute_of
from app.stats.log_counts import LOGS, log_counts, log_series

MAX_STEPS = 120
# The lengths of steps, in seconds. Each divides a day.
STEPS_S = (60, 300, 1800, HOUR_S, 4 * HOUR_S, DAY_S)


class Step(NamedTuple):
    """The lines that were written in a step, by level; levels without lines are left out."""

    at: datetime
    lines: dict[str, int]


class Rates(NamedTuple):
    """The steps of a range, oldest first; each is ``interval_s`` seconds long.

    :param since: from when lines are counted: in the first step. :param until: up to when: in the
        last step. Both are whole minutes, or whole hours of days that are counted by the hour.
    """

    interval_s: int
    since: datetime
    until: datetime
    steps: list[Step]


class Chosen(NamedTuple):
    """Which lines are counted.

    :param projects: conditions on the column of the project.
    :param levels: ``None`` means all.
    """

    projects: Sequence[ColumnElement[bool]] = ()
    levels: Collection[str] | None = None


ALL = Chosen()


def of_projects(ids: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that lines are of some projects."""
    return log_series.c.project_id.in_(ids)


def log_rates(conn: Connection, within: Range, chosen: Chosen = ALL) -> Rates:
    """Return the lines of each step of a range, by level.

    Steps begin at whole multiples of their length, so the range may begin or end within one: then
    this step has the lines of its part in the range.

    :return: no step if all of the range is older than what is counted, or in the future.
    """
    since, until = _counted(within)
    step_s = _step_s(since, until, within.now)
    length, begin = timedelta(seconds=step_s), floor(since, step_s)
    steps = [Step(begin + number * length, {}) for number in range(-((begin - until) // length))]
    if not steps:
        return Rates(step_s, since, until, [])
    if is_open := within.end is None or within.end > within.now:
        until = steps[-1].at + length
    end = None if is_open else minute_of(until)
    query = _sums(chosen, minute_of(begin), minute_of(since), end, step_s // 60)
    for number, level, lines in conn.execute(query):
        # A line of a client whose clock is fast may be after the last step.
        counted = steps[min(number, len(steps) - 1)].lines
        counted[level] = counted.get(level, 0) + lines
    return Rates(step_s, since, until, steps)


def _counted(within: Range) -> tuple[datetime, datetime]:
    """Return from when and up to when lines are counted: a range in whole minutes or hours."""
    oldest = floor(within.now - LOGS.hours_kept, DAY_S)
    start, end = max(within.start or oldest, oldest), min(within.until, within.now)
    if start >= end:
        return oldest, oldest
    last = end - timedelta(microseconds=1)
    unit_s = _unit_s(last, within.now)
    return floor(start, _unit_s(start, within.now)), floor(last, unit_s) + timedelta(seconds=unit_s)


def _unit_s(moment: datetime, now: datetime) -> int:
    """Return the length of the counts at a moment, in seconds: of a minute or an hour."""
    return 60 if moment >= floor(now - (LOGS.minutes_kept or timedelta()), DAY_S) else HOUR_S


def _step_s(since: datetime, until: datetime, now: datetime) -> int:
    lengths = [one for one in STEPS_S if one >= _unit_s(since, now)]
    seconds = (until - since).total_seconds()
    return next((one for one in lengths if seconds <= MAX_STEPS * one), DAY_S)


def _sums(chosen: Chosen, begin: int, first: int, end: int | None, length: int) -> Select[Any]:
    """Return the query for the lines of each step and level, by the number of the step.

    :param begin: the minute at which the first step begins.
    :param first: the first minute that is counted. :param end: the first one after the range.
    :param length: the minutes of a step.
    """
    of, minute = log_series.c, log_counts.c.minute
    number = (minute - written_out(begin)) // written_out(length)
    total = cast(func.sum(log_counts.c.lines), BigInteger)  # PostgreSQL sums to a Decimal.
    query = select(number, of.level, total).group_by(number, of.level)
    query = query.join_from(log_series, log_counts, log_counts.c.series_id == of.id)
    # By both values of `rolled`, the index of days finds the series of all projects.
    query = query.where(of.rolled.in_([False, True]), of.day >= day_of(first), minute >= first)
    if end is not None:
        query = query.where(of.day <= day_of(end - 1), minute < end)
    if chosen.levels is not None:
        query = query.where(of.level.in_(chosen.levels))
    return query.where(*chosen.projects)
