"""The chart of a range: what a person reads in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Flask

from app.admin.range_chart import range_chart
from app.issues.series import Point, Series

START = datetime(2026, 11, 20, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def series(counts: list[int], before: list[int], step: timedelta = HOUR) -> Series:
    points = [Point(START + n * step, count, count // 2) for n, count in enumerate(counts)]
    return Series(int(step.total_seconds()), points, before)


def test_each_step_says_its_numbers_and_the_label_all_of_them() -> None:
    chart = range_chart(series([0, 4, 2], [1, 1, 1]))
    assert chart.label == "6 events; at most 4 in 1 hour; 3 in the range before"
    assert chart.marks[1].title == "20 Nov 01:00: 4 events, 2 users"
    assert chart.path.count("M") == 2 and chart.before.count("h10") == 3
    assert range_chart(series([1], [])).before == ""


def test_range_before_that_was_higher_leaves_the_bars_lower() -> None:
    alone, beside = range_chart(series([4], [])), range_chart(series([4], [8]))
    assert "v-94.0" in alone.path and "v-47.0" in beside.path


def test_line_of_many_hours_is_the_mean_of_each_day() -> None:
    by_day = [24 if hour % 24 == 0 else 0 for hour in range(72)]
    chart = range_chart(series([1] * 72, by_day))
    assert set(chart.before.replace("M", "L").split("L")[1:]) == {
        f"{hour * 10} 6.0h10" for hour in range(72)
    }


def test_release_stands_where_it_was_seen_first(app: Flask) -> None:
    seen = [(START + HOUR, "2.4.0"), (START - DAY, "2.3.0"), (START + DAY, "2.5.0")]
    chart = range_chart(series([1, 1, 1], [1, 1, 1]), seen)
    assert [(mark.x, mark.title) for mark in chart.releases] == [(10, "2.4.0")]
    with app.test_request_context():
        html = str(app.jinja_env.get_template("_charts.html").module.range_chart(chart))  # type: ignore[attr-defined]
    assert "First seen: 2.4.0" in html and "style=" not in html
