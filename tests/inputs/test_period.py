"""Ranges: what a request says about time, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from app.inputs.period import (
    DAY_S,
    DAYS_KEPT,
    HOUR_S,
    HOURS_KEPT,
    LABELS,
    PERIODS,
    PeriodName,
    Range,
    RangeFilter,
    floor,
    period_range,
    read_moment,
)

NOW = datetime(2026, 11, 27, 12, 34, 56, tzinfo=UTC)


def read(**given: str) -> Range:
    return RangeFilter.model_validate(given).range_of(NOW, "day")


def test_every_period_has_a_length_and_a_label() -> None:
    assert set(PERIODS) == set(LABELS) == set(get_args(PeriodName))


@pytest.mark.parametrize(
    "name, start, step_s",
    [
        ("hour", datetime(2026, 11, 27, 11, tzinfo=UTC), HOUR_S),
        ("day", datetime(2026, 11, 26, 12, tzinfo=UTC), HOUR_S),
        ("week", datetime(2026, 11, 20, 12, tzinfo=UTC), HOUR_S),
        ("month", datetime(2026, 10, 28, tzinfo=UTC), DAY_S),
        ("quarter", datetime(2026, 8, 29, tzinfo=UTC), DAY_S),
        ("all", None, DAY_S),
    ],
)
def test_period_begins_with_the_hour_or_day_in_which_it_begins(
    name: str, start: datetime | None, step_s: int
) -> None:
    found = read(period=name)
    assert (found.name, found.start, found.end, found.step_s) == (name, start, None, step_s)
    assert found == period_range(name, NOW)


def test_request_that_says_nothing_gets_the_default() -> None:
    assert read() == read(period="day")
    assert read(period="all").is_all and not read().is_all


@pytest.mark.parametrize(
    "text, moment",
    [
        ("2026-11-27T10:00:00Z", datetime(2026, 11, 27, 10, tzinfo=UTC)),
        ("2026-11-27T10:00:00+02:00", datetime(2026, 11, 27, 8, tzinfo=UTC)),
        ("2026-11-27T10:00:00 02:00", datetime(2026, 11, 27, 8, tzinfo=UTC)),
        ("2026-11-27T10:00", datetime(2026, 11, 27, 10, tzinfo=UTC)),
        ("2026-11-27 10:00", datetime(2026, 11, 27, 10, tzinfo=UTC)),
        ("2026-11-27", datetime(2026, 11, 27, tzinfo=UTC)),
    ],
)
def test_time_is_read_in_each_spelling(text: str, moment: datetime) -> None:
    assert read_moment(text) == moment
    assert read(start=text).start == moment


@pytest.mark.parametrize("text", ["", "yesterday", "12", "0001-01-01", "9999-12-31T23:59:59-01:00"])
def test_text_that_is_no_time_is_refused(text: str) -> None:
    assert read_moment(text) is None
    assert fields(start=text) == ["start"] and fields(end=text) == ["end"]


def test_date_as_end_includes_that_day() -> None:
    found = read(start="2026-11-01", end="2026-11-02")
    assert (found.start, found.end) == (
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 3, tzinfo=UTC),
    )
    assert read(end="2026-11-02T00:00").end == datetime(2026, 11, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "given, field",
    [
        ({"period": "year"}, "period"),
        ({"period": "day", "start": "2026-11-01"}, "start"),
        ({"period": "day", "end": "2026-11-01"}, "end"),
        ({"start": "2026-11-02", "end": "2026-11-01"}, "end"),
        ({"start": "2026-11-02T10:00", "end": "2026-11-02T10:00"}, "end"),
        ({"since": "2026-11-01"}, "since"),
    ],
)
def test_wrong_range_names_its_field(given: dict[str, str], field: str) -> None:
    assert fields(**given) == [field]


def fields(**given: str) -> list[Any]:
    with pytest.raises(ValidationError) as caught:
        RangeFilter.model_validate(given)
    return [detail["loc"][0] for detail in caught.value.errors()]


@pytest.mark.parametrize("name", ["hour", "day", "week", "month"])
def test_range_before_is_as_long_and_ends_where_the_range_begins(name: str) -> None:
    found = read(period=name)
    before = found.before()
    assert before is not None
    assert (before.end, before.length) == (found.start, found.length)


def test_range_before_ends_where_nothing_is_kept() -> None:
    assert read(period="quarter").before() is None
    assert read(period="all").before() is None
    assert read(end="2026-11-01").before() is None
    kept = floor(NOW - DAYS_KEPT, DAY_S)
    oldest = read(start=(kept + timedelta(days=2)).isoformat(), end=NOW.isoformat())
    assert oldest.before() is None
    young = {"start": kept + timedelta(days=1), "end": kept + timedelta(days=2)}
    assert read(**{name: moment.isoformat() for name, moment in young.items()}).before()


def test_old_range_is_counted_by_the_day_however_short_it_is() -> None:
    edge = NOW - HOURS_KEPT
    assert read(start=edge.isoformat()).step_s == HOUR_S
    long_ago = (edge - timedelta(hours=1)).isoformat()
    assert read(start=long_ago, end=edge.isoformat()).step_s == DAY_S


def test_range_without_an_end_has_what_a_fast_clock_sends() -> None:
    day = read(period="day")
    assert day.has(NOW + timedelta(seconds=5)) and day.has(NOW) and day.until == NOW
    assert not day.has(NOW - timedelta(hours=26))
    assert not read(end=NOW.isoformat()).has(NOW)
