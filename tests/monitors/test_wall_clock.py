"""Around each change of a clock, also of half an hour, no run is lost and none is found twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from app.monitors.schedule import checked_schedule
from tests.monitors.wall_clock import runs

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ALL_HOURS, FIVES = set(range(24)), set(range(0, 60, 5))
CHANGES = [
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Antarctica/Troll", date(2026, 3, 29)),
    ("Antarctica/Troll", date(2026, 10, 25)),
    ("Europe/Berlin", date(2026, 10, 25)),
]
CRONTABS = [
    ("*/5 0 * * *", FIVES, {0}),
    ("30 * * * *", {30}, ALL_HOURS),
    ("*/20 2 * * *", {0, 20, 40}, {2}),
    ("0 */2 * * *", {0}, set(range(0, 24, 2))),
    ("15 1,2,3 * * *", {15}, {1, 2, 3}),
    ("30 1 * * *", {30}, {1}),
]


@pytest.mark.parametrize(("zone", "day"), CHANGES, ids=str)
@pytest.mark.parametrize("crontab", CRONTABS, ids=lambda crontab: crontab[0])
def test_runs_around_a_change_equal_a_count_by_minutes(
    zone: str, day: date, crontab: tuple
) -> None:
    text, minutes, hours = crontab
    in_real_time = "*" in text.split()[0] + text.split()[1]
    days = {day + n * DAY for n in (-1, 0, 1)}
    expected = runs(zone, minutes, hours, days, in_real_time=in_real_time)
    schedule, moment, found = (
        checked_schedule("crontab", text, None, zone),
        expected[0] - MINUTE,
        [],
    )
    while len(found) < len(expected):
        moment = schedule.next_after(moment)
        found.append(moment)
    assert found == expected


def test_yearly_run_comes_again_when_the_clock_goes_back() -> None:
    """The next run on a clock without changes is a year away, and has the same offset."""
    schedule = checked_schedule("crontab", "*/30 2 25 10 *", None, "Europe/Berlin")
    moment = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert schedule.next_after(moment) == moment + 30 * MINUTE
