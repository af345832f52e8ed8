"""What a check-in or the passing of time does to a monitor in one environment. Without a store.

waiting ── first check-in ──▶ ok ── failed runs in a row, as many as the threshold ──▶ error,
                              ▲                                                missed, timeout
                              └── runs that ended well in a row, as many as the threshold ──┘
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from app.monitors.schedule import Schedule

FAILING = frozenset({"missed", "timeout", "error"})
# A check-in may be so early, if the clock of its host is fast, but not by more than a quarter of
# the time between two runs.
EARLY = timedelta(seconds=30)
EARLY_SHARE = 4
# Most check-ins come within this time after a run is expected.
FIRST = timedelta(minutes=1)
# The most missed and endless runs that one call finds. The next call finds the others.
MAX_STEPS = 200
# The most runs that are counted of an outage.
MAX_AWAY = 1000


class Outage(NamedTuple):
    """A time in which this service was away."""

    began_at: datetime
    ended_at: datetime


class CheckIn(NamedTuple):
    """What a check-in says about a run.

    :param check_in_id: 32 hex digits; ``None`` if the client sent none.
    :param status: ``in_progress``, ``ok`` or ``error``.
    """

    check_in_id: str | None
    status: str
    duration_ms: float | None = None
    trace_id: str | None = None
    release: str | None = None


@dataclass(frozen=True)
class Expectation:
    """What is expected of a monitor.

    :param schedule: ``None`` if no run is expected.
    :param is_paused: runs are recorded and change nothing.
    """

    schedule: Schedule | None
    margin: timedelta
    max_runtime: timedelta
    failure_threshold: int = 1
    recovery_threshold: int = 1
    is_paused: bool = False


@dataclass
class Run:
    """A run of a job, or one that did not come. The fields are the columns of ``check_ins``."""

    status: str
    at: datetime
    check_in_id: str | None = None
    expected_at: datetime | None = None
    finished_at: datetime | None = None
    duration_ms: float | None = None
    timeout_at: datetime | None = None
    away: bool = False
    runs: int = 1
    trace_id: str | None = None
    release: str | None = None
    id: int | None = None


class Change(NamedTuple):
    """A monitor begins to fail, or fails no longer.

    :param status: the one after the change.
    :param failures: how many runs had failed in a row.
    """

    status: str
    at: datetime
    failures: int


@dataclass
class State:
    """A monitor in an environment, with its open runs.

    :param begins_anew: nothing is expected until the next check-in, whatever came before.
    :param changes: since it was read, in their order. A failure may be over when somebody looks, so
        that the status alone does not tell all.
    """

    status: str = "waiting"
    failures: int = 0
    successes: int = 0
    expected_at: datetime | None = None
    last_check_in_at: datetime | None = None
    since: datetime | None = None
    begins_anew: bool = False
    open: list[Run] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


def due_at(state: State, wanted: Expectation) -> datetime | None:
    """Return when a run is missed or times out next, if nothing comes."""
    times = [run.timeout_at for run in state.open if run.timeout_at]
    if state.expected_at and wanted.schedule and not wanted.is_paused:
        times.append(state.expected_at + wanted.margin)
    return min(times, default=None)


def advance(
    state: State, wanted: Expectation, until: datetime, outages: Sequence[Outage] = ()
) -> list[Run]:
    """Let time pass. Return the runs that were missed or timed out before a moment."""
    changed: list[Run] = []
    for _ in range(MAX_STEPS):
        due = due_at(state, wanted)
        if due is None or due >= until:
            break
        ended = next((run for run in state.open if run.timeout_at == due), None)
        if ended is not None:
            changed.append(_time_out(state, wanted, ended, outages))
        else:
            changed.append(_miss(state, wanted, due, until, outages))
    return changed


def check_in(
    state: State, wanted: Expectation, given: CheckIn, at: datetime, known: Run | None = None
) -> Run | None:
    """Apply a check-in. Return the run that is new or changed.

    Call :func:`advance` before.

    :param known: the run with the id of the check-in, open or not.
    """
    state.last_check_in_at, state.begins_anew = max(state.last_check_in_at or at, at), False
    if known is None and given.check_in_id is None and given.status != "in_progress":
        known = max(state.open, key=lambda run: run.at, default=None)
    if known is None:
        return _begin(state, wanted, given, at)
    if known.status == "in_progress":
        return _go_on(state, wanted, known, given, at)
    if known.status == "timeout" and known.finished_at is None and given.status != "in_progress":
        # It stays a run that took too long; now it is known how long.
        _finish(known, given, at)
        return known
    return None


def expect_from(state: State, wanted: Expectation, now: datetime) -> None:
    """Expect the next run after a change of the schedule."""
    is_known = state.last_check_in_at is not None and not state.begins_anew
    after = now
    if wanted.schedule and wanted.schedule.type == "interval" and state.last_check_in_at:
        after = state.last_check_in_at
    state.expected_at = None
    if is_known and wanted.schedule and not wanted.is_paused:
        found = wanted.schedule.next_after(after)
        state.expected_at = found if found > now else wanted.schedule.next_after(now)


def begin_anew(state: State, now: datetime) -> list[Run]:
    """Expect nothing until the next check-in, and forget what was. Return the runs that were open.

    Nobody knows how these ended, as their check-ins were refused.
    """
    ended, state.open = state.open, []
    for run in ended:
        run.status, run.timeout_at, run.away = "timeout", None, True
    state.expected_at, state.begins_anew = None, True
    wait(state, now)
    return ended


def wait(state: State, now: datetime) -> None:
    """Forget how its runs ended."""
    state.failures, state.successes = 0, 0
    _set(state, "waiting", now)


def is_late(status: str, expected_at: datetime | None, now: datetime) -> bool:
    """Return whether a run that is not failing should have begun."""
    return status not in FAILING and expected_at is not None and expected_at < now


# ---- runs ---------------------------------------------------------------------------------------


def _begin(state: State, wanted: Expectation, given: CheckIn, at: datetime) -> Run:
    began = at
    if given.duration_ms is not None and given.status != "in_progress":
        began = at - timedelta(milliseconds=given.duration_ms)
    run = Run(
        "in_progress", began, given.check_in_id, trace_id=given.trace_id, release=given.release
    )
    _meet(state, wanted, run, at)
    if given.status == "in_progress":
        run.timeout_at = at + wanted.max_runtime
        state.open.append(run)
        if state.status == "waiting" and not wanted.is_paused:
            _set(state, "ok", at)
    else:
        # Without a duration nobody knows how long it took.
        run.status, run.finished_at, run.duration_ms = given.status, at, given.duration_ms
        _count(state, wanted, given.status, at)
    return run


def _go_on(state: State, wanted: Expectation, run: Run, given: CheckIn, at: datetime) -> Run:
    if given.status == "in_progress":
        run.timeout_at = at + wanted.max_runtime
        return run
    state.open.remove(run)
    run.status, run.timeout_at = given.status, None
    run.trace_id = given.trace_id or run.trace_id
    _finish(run, given, at)
    _count(state, wanted, given.status, at)
    return run


def _finish(run: Run, given: CheckIn, at: datetime) -> None:
    """Note the end of a run that said when it began."""
    run.finished_at = at
    passed_ms = (at - run.at).total_seconds() * 1000
    run.duration_ms = passed_ms if given.duration_ms is None else given.duration_ms


def _meet(state: State, wanted: Expectation, run: Run, at: datetime) -> None:
    """Note which expected run this is, and when the next one is expected."""
    if wanted.schedule is None or wanted.is_paused:
        state.expected_at = None
        return
    before, following = state.expected_at, wanted.schedule.next_after(at)
    if before is not None and before <= at:
        run.expected_at = before
    elif before == following and wanted.schedule.type == "crontab" and following - at <= EARLY:
        after = wanted.schedule.next_after(following)
        if (following - at) * EARLY_SHARE <= after - following:
            run.expected_at, following = before, after
    state.expected_at = following


# ---- time ---------------------------------------------------------------------------------------


def _time_out(state: State, wanted: Expectation, run: Run, outages: Iterable[Outage]) -> Run:
    ended_at = run.timeout_at or run.at
    state.open.remove(run)
    run.status, run.timeout_at = "timeout", None
    # Its end may have been sent at any moment since it began.
    run.away = any(one.began_at <= ended_at and one.ended_at >= run.at for one in outages)
    if not run.away:
        _count(state, wanted, "timeout", ended_at)
    return run


def _miss(
    state: State,
    wanted: Expectation,
    due: datetime,
    until: datetime,
    outages: Iterable[Outage],
) -> Run:
    expected, schedule = state.expected_at, wanted.schedule
    assert expected is not None and schedule is not None  # noqa: S101 -- see due_at()
    run = Run("missed", due, expected_at=expected)
    outage = _outage_of(expected, due, outages)
    following = schedule.next_after(expected)
    if outage is None:
        _count(state, wanted, "missed", due)
    else:
        run.away = True
        while following + wanted.margin < until and _outage_of(
            following, following + wanted.margin, [outage]
        ):
            if run.runs >= MAX_AWAY:
                following = max(following, schedule.next_after(outage.ended_at))
                break
            run.runs += 1
            run.at, following = following + wanted.margin, schedule.next_after(following)
    state.expected_at = following
    return run


def _outage_of(expected: datetime, due: datetime, outages: Iterable[Outage]) -> Outage | None:
    """Return the outage in which the check-in of a run was probably lost, ``None`` if none was.

    That is an outage when the run was expected, or one of at least half the time until it is
    missed. A short one at the end of a long margin hides no run that really was missed.
    """
    for outage in outages:
        if outage.began_at <= expected + FIRST and outage.ended_at >= expected:
            return outage
        overlap = min(due, outage.ended_at) - max(expected, outage.began_at)
        if overlap > timedelta() and overlap * 2 >= due - expected:
            return outage
    return None


def _count(state: State, wanted: Expectation, status: str, at: datetime) -> None:
    if wanted.is_paused:
        return
    if status == "ok":
        state.successes, state.failures = state.successes + 1, 0
        if state.status not in FAILING or state.successes >= wanted.recovery_threshold:
            _set(state, "ok", at)
        return
    state.successes, state.failures = 0, state.failures + 1
    if state.status in FAILING or state.failures >= wanted.failure_threshold:
        _set(state, status, at)
    else:
        _set(state, "ok", at)


def _set(state: State, status: str, at: datetime) -> None:
    if state.status == status:
        return
    if (state.status in FAILING) != (status in FAILING):
        state.changes.append(Change(status, at, state.failures))
    state.status, state.since = status, at
