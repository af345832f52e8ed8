"""A year of check-ins by a moved clock: every run is found, missed, timed out and recovered."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from app.monitors.machine import (
    FAILING,
    MAX_AWAY,
    CheckIn,
    Expectation,
    Outage,
    Run,
    State,
    advance,
    check_in,
    due_at,
)
from app.monitors.schedule import Schedule, ScheduleError, checked_schedule
from tests.monitors.wall_clock import runs
from tests.monitors.year import CRONTABS, INTERVALS, YEAR, story

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BEGIN = datetime(YEAR, 1, 1, tzinfo=UTC)


def crontab(text: str, zone: str = "UTC") -> Schedule:
    return checked_schedule("crontab", text, None, zone)


def expected(schedule: Schedule, margin_min: int = 5, **others: int) -> Expectation:
    return Expectation(schedule, timedelta(minutes=margin_min), timedelta(minutes=30), **others)


class Told(NamedTuple):
    """What the machine said in all."""

    runs: Counter[str]
    fails: int
    recovers: int


def play(wanted: Expectation, check_ins: list[tuple[datetime, CheckIn]], end: datetime) -> Told:
    """Apply check-ins and let time pass, in uneven steps, until an end."""
    state, seen, fails, recovers = State(), [], 0, 0
    known: dict[str, Run] = {}

    def follow(before: str) -> None:
        nonlocal fails, recovers
        fails += before not in FAILING and state.status in FAILING
        recovers += before in FAILING and state.status == "ok"

    for at, given in check_ins:
        while (due := due_at(state, wanted)) is not None and due < at:
            before = state.status
            seen += advance(state, wanted, min(at, due + timedelta(seconds=1)))
            follow(before)
        before = state.status
        run = check_in(state, wanted, given, at, known.get(given.check_in_id or ""))
        follow(before)
        if run is not None:
            known[given.check_in_id or ""] = run
            seen += [run] if run not in seen[-40:] else []
    before = state.status
    seen += advance(state, wanted, end)
    follow(before)
    return Told(Counter({id(run): run.status for run in seen}.values()), fails, recovers)


@pytest.mark.parametrize("job", CRONTABS, ids=lambda job: f"{job[0]} {job[1]}")
def test_year_of_a_crontab_equals_an_independent_count(job: tuple) -> None:
    text, zone, minutes, hours, days, in_real_time = job
    ticks = runs(zone, minutes, hours, days, in_real_time=in_real_time)
    schedule = crontab(text, zone)
    moment, found = ticks[0] - MINUTE, []
    while len(found) < len(ticks):
        moment = schedule.next_after(moment)
        found.append(moment)
    assert found == ticks
    known = story(ticks, seed=len(text))
    told = play(expected(schedule), known.sent, known.end)
    assert (told.runs, told.fails, told.recovers) == (known.count, known.fails, known.recovers)


@pytest.mark.parametrize("job", INTERVALS, ids=lambda job: f"{job[0]} {job[1]} {job[2]}")
def test_year_of_an_interval_goes_on_in_real_time(job: tuple) -> None:
    value, unit, zone = job
    schedule = checked_schedule("interval", value, unit, zone)
    span = int(value) * (MINUTE if unit == "minute" else 24 * HOUR)
    wanted, state, at = expected(schedule), State(), BEGIN
    missed = late = 0
    chance = random.Random(7)
    check_in(state, wanted, CheckIn(None, "ok"), at)
    while at < BEGIN + timedelta(days=365):
        skipped = chance.choices((0, 1, 2), (90, 7, 3))[0]
        at += (skipped + 1) * span + timedelta(seconds=chance.randrange(0, 280))
        missed += sum(run.status == "missed" for run in advance(state, wanted, at))
        late += skipped
        check_in(state, wanted, CheckIn(None, "ok"), at)
    assert missed == late
    assert state.status == "ok"


def test_both_days_of_the_clock_change_have_one_run_each() -> None:
    schedule = crontab("30 2 * * *", "Europe/Berlin")
    spring = schedule.next_after(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert spring == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 03:00, since 02:30 does not exist.
    assert schedule.next_after(spring) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)
    autumn = schedule.next_after(datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert autumn == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    for minutes in (1, 40, 61):  # Also within the second 02:… of that night.
        later = schedule.next_after(autumn + timedelta(minutes=minutes))
        assert later == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_hourly_job_runs_23_and_25_times_on_the_days_of_the_change() -> None:
    schedule = crontab("0 * * * *", "Europe/Berlin")
    for day, hours in ((datetime(2026, 3, 28, 23, tzinfo=UTC), 23), (BEGIN, 24)):
        count, moment = 0, day - MINUTE
        while (moment := schedule.next_after(moment)) < day + hours * HOUR:
            count += 1
        assert count == hours


def test_late_run_is_missed_only_after_its_margin() -> None:
    wanted, state = expected(crontab("0 2 * * *")), State()
    check_in(state, wanted, CheckIn(None, "ok"), BEGIN + 2 * HOUR)
    tomorrow = BEGIN + 26 * HOUR
    assert state.expected_at == tomorrow
    assert advance(state, wanted, tomorrow + 5 * MINUTE) == []
    (run,) = advance(state, wanted, tomorrow + 6 * MINUTE)
    assert (run.status, run.expected_at, run.at) == ("missed", tomorrow, tomorrow + 5 * MINUTE)
    assert state.status == "missed"
    assert state.expected_at == tomorrow + 24 * HOUR


def test_thresholds_hold_for_failing_and_for_recovery() -> None:
    wanted = expected(crontab("0 * * * *"), failure_threshold=3, recovery_threshold=2)
    state, statuses = State(), []
    for number, status in enumerate(["ok", *["error"] * 3, "ok", "error", "ok", "ok"]):
        at = BEGIN + (number + 1) * HOUR
        assert advance(state, wanted, at) == []
        check_in(state, wanted, CheckIn(None, status), at)
        statuses.append(state.status)
    assert statuses == ["ok", "ok", "ok", "error", "error", "error", "error", "ok"]


def test_run_that_ends_after_its_time_stays_timed_out_and_says_how_long_it_took() -> None:
    wanted, state = expected(crontab("0 2 * * *")), State()
    run = check_in(state, wanted, CheckIn("a" * 32, "in_progress"), BEGIN)
    assert advance(state, wanted, BEGIN + HOUR) == [run]
    check_in(state, wanted, CheckIn("a" * 32, "ok"), BEGIN + HOUR, run)
    assert (run.status, run.duration_ms, state.status) == ("timeout", 3_600_000, "timeout")


def test_sign_of_life_extends_a_run() -> None:
    wanted, state = expected(crontab("0 2 * * *")), State()
    run = check_in(state, wanted, CheckIn("a" * 32, "in_progress"), BEGIN)
    check_in(state, wanted, CheckIn("a" * 32, "in_progress"), BEGIN + 20 * MINUTE, run)
    assert advance(state, wanted, BEGIN + 45 * MINUTE) == []
    check_in(state, wanted, CheckIn(None, "ok"), BEGIN + 45 * MINUTE)
    assert (run.status, run.duration_ms) == ("ok", 45 * 60_000)


def test_early_check_in_of_a_fast_clock_is_the_run_that_was_expected() -> None:
    wanted, state = expected(crontab("0 * * * *")), State()
    check_in(state, wanted, CheckIn(None, "ok"), BEGIN)
    run = check_in(state, wanted, CheckIn(None, "ok"), BEGIN + HOUR - timedelta(seconds=8))
    assert (run.expected_at, state.expected_at) == (BEGIN + HOUR, BEGIN + 2 * HOUR)
    run = check_in(state, wanted, CheckIn(None, "ok"), BEGIN + HOUR + 20 * MINUTE)
    assert (run.expected_at, state.expected_at) == (None, BEGIN + 2 * HOUR)


def outage_of(hours: float) -> Outage:
    return Outage(BEGIN + HOUR / 2, BEGIN + HOUR / 2 + timedelta(hours=hours))


def after_outage(schedule: Schedule, outage: Outage) -> tuple[State, list[Run]]:
    wanted, state = expected(schedule), State()
    check_in(state, wanted, CheckIn(None, "ok"), BEGIN)
    return state, advance(state, wanted, outage.ended_at + MINUTE, [outage])


def test_runs_while_this_service_was_away_are_one_row_and_no_failure() -> None:
    state, (run,) = after_outage(crontab("0 * * * *"), outage_of(10))
    assert (run.status, run.away, run.runs) == ("missed", True, 10)
    assert (state.status, state.failures) == ("ok", 0)
    assert state.expected_at == BEGIN + 11 * HOUR


def test_long_outage_of_a_job_of_every_minute_is_bounded() -> None:
    outage = outage_of(24 * 30)
    state, found = after_outage(crontab("* * * * *"), outage)
    # Before the outage nobody looked: those minutes were missed.
    away = [run for run in found if run.away]
    assert [run.runs for run in away] == [MAX_AWAY]
    assert outage.ended_at < state.expected_at <= outage.ended_at + 2 * MINUTE


def test_short_outage_hides_no_run_that_was_missed_at_another_time() -> None:
    wanted, state = expected(crontab("0 2 * * *"), margin_min=60), State()
    check_in(state, wanted, CheckIn(None, "ok"), BEGIN)
    restart = Outage(BEGIN + 150 * MINUTE, BEGIN + 151 * MINUTE)
    (run,) = advance(state, wanted, BEGIN + 4 * HOUR, [restart])
    assert (run.away, state.status) == (False, "missed")


def test_run_whose_end_may_have_been_lost_is_no_failure() -> None:
    wanted, state = expected(crontab("0 2 * * *")), State()
    check_in(state, wanted, CheckIn("a" * 32, "in_progress"), BEGIN)
    restart = Outage(BEGIN + 10 * MINUTE, BEGIN + 11 * MINUTE)
    (run,) = advance(state, wanted, BEGIN + HOUR, [restart])
    assert (run.status, run.away, state.status) == ("timeout", True, "ok")


def test_paused_monitor_misses_nothing_and_records_runs() -> None:
    wanted = Expectation(crontab("0 * * * *"), MINUTE, HOUR, is_paused=True)
    state = State()
    run = check_in(state, wanted, CheckIn(None, "error"), BEGIN)
    assert (run.status, state.status, due_at(state, wanted)) == ("error", "waiting", None)


HOSTILE = [
    *(
        ("crontab", text, None, "UTC")
        for text in ("", "* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "@never", "a" * 5000)
    ),
    *(
        ("interval", value, "minute", "UTC")
        for value in (0, -1, 10_001, True, "1e3", None, [1], "٣")
    ),
    *(
        ("crontab", "0 * * * *", None, zone)
        for zone in ("", "../../etc/passwd", "Mars/Base", "UTC\x00", "localtime" * 100)
    ),
    ("interval", 1, "second", "UTC"),
    ("interval", 100, "year", "UTC"),
    ("sometimes", "0 * * * *", None, "UTC"),
    ("crontab", ["0"], None, "UTC"),
    ("crontab", "0 0 * * 1" + ",1" * 90 + ",x", None, "UTC"),
]


@pytest.mark.parametrize("given", HOSTILE, ids=range(len(HOSTILE)))
def test_schedule_that_cannot_be_followed_is_refused(given: tuple) -> None:
    with pytest.raises(ScheduleError):
        checked_schedule(*given)


@pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 30,31 2 *", "0 0 31 4,6 *"])
def test_crontab_that_is_never_due_is_refused_and_says_so(text: str) -> None:
    with pytest.raises(ScheduleError, match="never due"):
        crontab(text)


@pytest.mark.parametrize("text", ["0 0 32 2 *", "0 0 31 13 *", "61 0 31 2 *", "0 0 31 2 9"])
def test_crontab_with_another_fault_is_not_called_never_due(text: str) -> None:
    with pytest.raises(ScheduleError, match="this is no crontab"):
        crontab(text)


def test_months_end_where_a_month_is_short() -> None:
    schedule = checked_schedule("interval", 1, "month", "UTC")
    assert schedule.next_after(datetime(2026, 1, 31, 12, tzinfo=UTC)).day == 28
    assert str(schedule) == "every month"


@pytest.mark.parametrize("given", ["Europe/Berlin", "europe/berlin", " EUROPE/BERLIN "])
def test_time_zone_is_kept_as_its_database_spells_it(given: str) -> None:
    assert crontab("0 2 * * *", given).timezone == "Europe/Berlin"
    assert crontab("0 2 * * *", "utc").timezone == "UTC"


@pytest.mark.parametrize("name", ["localtime", "LOCALTIME", "posixrules", "Factory"])
def test_zone_that_depends_on_this_machine_is_refused(name: str) -> None:
    with pytest.raises(ScheduleError, match="such as Europe/Berlin or UTC") as caught:
        crontab("0 2 * * *", name)
    assert caught.value.field == "timezone"


def test_zone_that_this_machine_does_not_know_any_more_is_said_and_breaks_nothing() -> None:
    schedule = Schedule("crontab", "0 2 * * *", None, "Mars/Base")
    assert schedule.next_after(BEGIN) == BEGIN + 2 * HOUR
    assert "Mars/Base" in (schedule.problem or "") and crontab("0 2 * * *").problem is None
