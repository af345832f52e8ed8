"""How many lines of logs were written over time, by level.

Counts are kept by the minute for two days and then by the hour (:mod:`app.stats.log_counts`). So
the steps of a range are as short as its counts, and there are at most MAX_STEPS.
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
    """The steps of a range, oldest first; each is ``interval_s`` seconds long."""

    interval_s: int
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

    Steps are whole, so the first one may begin before the range, and the last one end after it.

    :return: no step if all of the range is older than what is counted, or in the future.
    """
    step_s, since, until = _frame(within)
    length = timedelta(seconds=step_s)
    steps = [Step(since + number * length, {}) for number in range((until - since) // length)]
    if not steps:
        return Rates(step_s, [])
    first, end = minute_of(since), None if _is_open(within) else minute_of(until)
    for number, level, lines in conn.execute(_sums(chosen, first, end, step_s // 60)):
        # A line of a client whose clock is fast may be after the last step.
        counted = steps[min(number, len(steps) - 1)].lines
        counted[level] = counted.get(level, 0) + lines
    return Rates(step_s, steps)


def _frame(within: Range) -> tuple[int, datetime, datetime]:
    """Return the length of the steps, the beginning of the first one, and the end of the last."""
    oldest = floor(within.now - LOGS.hours_kept, DAY_S)
    start, end = max(within.start or oldest, oldest), min(within.until, within.now)
    if start >= end:
        return HOUR_S, start, start
    by_minute = start >= floor(within.now - (LOGS.minutes_kept or timedelta()), DAY_S)
    lengths = STEPS_S if by_minute else [one for one in STEPS_S if one >= HOUR_S]
    seconds = (end - start).total_seconds()
    step_s = next((one for one in lengths if seconds <= MAX_STEPS * one), DAY_S)
    last = floor(end - timedelta(microseconds=1), step_s)
    return step_s, floor(start, step_s), last + timedelta(seconds=step_s)


def _is_open(within: Range) -> bool:
    return within.end is None or within.end > within.now


def _sums(chosen: Chosen, first: int, end: int | None, length: int) -> Select[Any]:
    """Return the query for the lines of each step and level, by the number of the step.

    :param first: the first minute. :param end: the first one after the range.
    :param length: the minutes of a step.
    """
    of, minute = log_series.c, log_counts.c.minute
    number = (minute - written_out(first)) // written_out(length)
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
