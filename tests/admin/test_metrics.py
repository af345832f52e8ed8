"""The metrics page: what it draws and tells, where it leads, and what it says of nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.admin.charts import STEP
from app.admin.filters import quantity
from app.admin.metric_charts import metric_charts, metric_sparkline
from app.insights.metrics import Line, MetricFigures, MetricName
from app.projects import create_project
from app.stats.buckets import value_bucket_of
from tests.conftest import parts_of
from tests.insights.metrics_stream import Value, envelope

SHOP = 7
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def shop(app: Flask) -> Iterator[Any]:
    """A project, and a way to have values of it."""
    create_project(parts_of(app).store, "Shop", SHOP, "a" * 32)

    def take(*sent: Value) -> None:
        found = envelope(*(one.payload() for one in sent))
        parts_of(app).intake.accept(found, project_id=SHOP, timeout_s=10)

    yield take


def get(client: FlaskClient, **query: str) -> str:
    answer = client.get("/admin/metrics", query_string={"project": SHOP, **query})
    assert answer.status_code == 200
    return answer.text


def names(page: str) -> list[str]:
    return [unescape(name) for name in re.findall(r'class="target"[^>]*>([^<]+)<', page)]


# ---- charts -------------------------------------------------------------------------------------


def figures(*sent: float) -> MetricFigures:
    found = MetricFigures()
    for at, value in enumerate(sent):
        one = MetricFigures(1, value, value, value, value, at)
        one.buckets[value_bucket_of(value)] += 1
        found.add(one)
    return found


def test_counter_is_drawn_from_zero_in_both_directions() -> None:
    steps = [figures(30, 10), MetricFigures(), figures(-40), figures(0)]
    [drawn] = metric_charts(MetricName("n", "counter", "euro"), steps, START, MINUTE)
    [bars] = drawn.curves
    found = re.findall(r"M(\d+) ([\d.]+)v(-?[\d.]+)h", bars.path)
    zero = float(found[0][1])
    assert [int(x) for x, _, _ in found] == [1, 2 * STEP + 1, 3 * STEP + 1]
    assert [float(up) for _, _, up in found] == [pytest.approx(-47), pytest.approx(47), -1.5]
    assert zero == pytest.approx(53)
    assert drawn.zero == "M0 53.0h40"
    assert (drawn.top, drawn.bottom) == ("40 euro", "-40 euro")
    assert [mark.title for mark in drawn.marks] == [
        "1 Mar 12:00: 40 euro in 2 values",
        "1 Mar 12:01: no value",
        "1 Mar 12:02: -40 euro in 1 value",
        "1 Mar 12:03: 0 euro in 1 value",
    ]


def test_gauge_and_distribution_are_drawn_as_lines_with_gaps() -> None:
    steps = [figures(10, 30), MetricFigures(), figures(20)]
    value, counts = metric_charts(MetricName("n", "gauge", "byte"), steps, START, MINUTE)
    assert [curve.name for curve in value.curves] == ["least to most", "average"]
    assert value.curves[1].path == "M0 37.3h10M20 37.3h10"
    assert value.curves[0].path.startswith("M0 6.0h10V68.7h-10z")
    assert value.marks[0].title.endswith("2 values from 10 B to 30 B, average 20 B, last 30 B")
    assert counts.top == "2" and counts.curves[0].path.count("M") == 2
    value, _ = metric_charts(MetricName("n", "distribution", ""), steps, START, MINUTE)
    assert value.marks[2].title.endswith("1 value, median 20, p95 20")
    for kind in ("counter", "gauge", "distribution"):
        for drawn in metric_charts(MetricName("n", kind, ""), [MetricFigures()], START, MINUTE):
            assert {curve.path for curve in drawn.curves} == {""} and drawn.top == "0"


def test_sparkline_has_a_bar_for_what_is_there_and_a_dot_for_what_is_not() -> None:
    steps = [figures(1), MetricFigures(), *[figures(4, 8)] * 22]
    drawn = metric_sparkline(Line(MetricName("n", "counter", ""), figures(), steps))
    assert [int(up) for up in re.findall(r"v-(\d+)", drawn.path)] == [2, 1, *[18] * 22]
    assert drawn.label == "sum over time, from 1 to 12"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (187.31, "millisecond", "187.3 ms"),
        (1203.7, "", "1,204"),
        (0, "byte", "0 B"),
        (33_008_362, "byte", "31 MiB"),
        (-0.00004, "ratio", "-4e-05"),
        (12.5, "percent", "12.5%"),
        (9e39, "bananas", "9e+39 bananas"),
        (None, "second", "unknown"),
    ],
)
def test_quantities_are_short_and_have_their_unit(value: Any, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


# ---- the page -----------------------------------------------------------------------------------


def test_metrics_are_listed_by_name_and_lead_to_their_page(
    admin_client: FlaskClient, shop: Any
) -> None:
    shop(*[Value("orders", "counter", 2.0)] * 3, Value("latency", "distribution", 187.3))
    shop(Value("queue.depth", "gauge", 12.5), Value("queue.depth", "gauge", 7.25, "2.0"))
    page = get(admin_client)
    assert names(page) == ["latency", "orders", "queue.depth"]
    for text in ("187.3 ms", "6 <span", "7.25 <span"):
        assert text in page
    assert page.count('class="sparkline"') == 3
    [link] = re.findall(r'href="([^"]+)">queue.depth<', page)
    one = admin_client.get(unescape(link)).text
    assert "<h1>queue.depth" in one and names(one) == ["1.0", "2.0"]
    assert one.count('class="chart"') == 2 and "2 values from 7.25 to 12.5" in one
    narrowed = get(admin_client, name="queue.depth", type="gauge", release="1.0")
    assert "1 value from 12.5 to 12.5" in narrowed
    assert names(get(admin_client, environment="production", name="orders")) == ["orders"]


def test_older_values_are_found_in_longer_periods(admin_client: FlaskClient, shop: Any) -> None:
    now = datetime.now(UTC)
    for age in (timedelta(hours=5), timedelta(days=3), timedelta(days=40)):
        with time_machine.travel(now - age):
            shop(Value("orders", "counter", 1.0))
    assert "No value came in this time" in get(admin_client, period="hour")
    for period, count in (("day", "1"), ("week", "2"), ("quarter", "3")):
        assert f"<dt>Total</dt><dd>{count}</dd>" in get(
            admin_client, period=period, name="orders", type="counter"
        )


def test_more_metrics_than_a_page_has_are_on_the_next(admin_client: FlaskClient, shop: Any) -> None:
    shop(*(Value(f"metric.{number:02}", "counter", 1.0) for number in range(60)))
    page = get(admin_client)
    [following] = re.findall(r'href="([^"]+)" rel="next"', page)
    rest = names(admin_client.get(unescape(following)).text)
    assert names(page) + rest == [f"metric.{number:02}" for number in range(60)]


def test_empty_page_says_what_to_do(admin_client: FlaskClient, shop: Any) -> None:
    page = get(admin_client)
    assert "sentry_sdk.metrics" in page and f"/admin/projects/{SHOP}/setup" in page
    shop(Value("orders", "counter", 1.0))
    page = get(admin_client, release="9.9", type="square", period="year")
    assert "No value in this time matches" in page and "Clear filters" in page
    assert "There is no type “square”" in page and "There is no period “year”" in page


def test_names_of_strangers_are_only_text(admin_client: FlaskClient, shop: Any) -> None:
    shop(Value(HOSTILE, "counter", 1.0, HOSTILE))
    for page in (get(admin_client), get(admin_client, name=HOSTILE, type="counter")):
        assert "<script>alert" not in page and "&lt;script&gt;alert" in page
