"""The performance page: what it draws and tells, where it leads, and what it says of nothing."""

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

from app.admin.charts import HEIGHT, STEP, charts
from app.insights.performance import Figures
from app.projects import create_project
from app.stats.buckets import bucket_of
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.insights.stream import Request

SHOP = 7
MINUTE = timedelta(minutes=1)
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def shop(app: Flask) -> Iterator[Any]:
    """A project, and a way to have requests of it at a moment."""
    create_project(parts_of(app).store, "Shop", SHOP, "a" * 32)
    number = iter(range(10_000))

    def take(*requests: Request) -> None:
        for request in requests:
            envelope = request.envelope(f"{next(number):032x}")
            parts_of(app).intake.accept(envelope, project_id=SHOP, timeout_s=10)

    yield take


def names(page: str) -> list[str]:
    links = re.findall(r'class="target"[^>]*>(.*?)</a>', page)
    return [unescape(re.sub("<[^>]*>", "", name)) for name in links]


def get(client: FlaskClient, **query: str) -> str:
    answer = client.get("/admin/performance", query_string={"project": SHOP, **query})
    assert answer.status_code == 200
    return answer.text


# ---- charts -------------------------------------------------------------------------------------


def figures(*rows: tuple[float | None, int, int]) -> Figures:
    found = Figures()
    for ms, requests, failures in rows:
        found.add(bucket_of(ms), requests, failures)
    return found


def test_charts_draw_each_step_where_it_is_and_leave_gaps() -> None:
    steps = [figures((100, 40, 10)), Figures(), figures((None, 20, 0)), figures((50, 10, 0))]
    drawn = charts(steps, START, MINUTE)
    assert drawn.width == 4 * STEP and drawn.most == 40
    tops = {int(x): float(up) for x, up in re.findall(r"M(\d+) 100v-([\d.]+)h", drawn.requests)}
    assert tops == {1: pytest.approx(94), 21: pytest.approx(47), 31: pytest.approx(23.5)}
    assert drawn.failures.startswith("M1 100v-23.5h")
    # Nothing is known of the two in the middle, so the line is broken there.
    assert [part[0] for part in drawn.p95.split("M")[1:]] == ["0", "3"]
    assert [mark.title for mark in drawn.marks] == [
        "1 Mar 12:00: 40 requests, 10 failed (25%), median 101 ms, p95 101 ms",
        "1 Mar 12:01: no request",
        "1 Mar 12:02: 20 requests",
        "1 Mar 12:03: 10 requests, median 51 ms, p95 51 ms",
    ]
    assert "70 requests, 10 failed; at most 40 in 1 minute" in drawn.requests_label


def test_one_failure_among_thousands_is_seen() -> None:
    [(_, up)] = re.findall(
        r"M(\d+) 100v-([\d.]+)h", charts([figures((1, 9000, 1))], START, MINUTE).failures
    )
    assert float(up) >= HEIGHT / 100
    empty = charts([Figures()], START, MINUTE)
    assert empty.p50 == empty.requests == empty.failures == ""


# ---- the page -----------------------------------------------------------------------------------


def test_transactions_are_listed_as_they_are_sorted_and_lead_to_their_page(
    admin_client: FlaskClient, shop: Any
) -> None:
    shop(*[Request("/slow", "1.0", 900.0, False)] * 2)
    shop(*[Request("/cart", "1.0", 20.0, number == 0) for number in range(3)])
    shop(Request("/cart", "2.0", 20.0, False), Request("/odd", "2.0", None, False))
    page = get(admin_client)
    assert names(page)[:3] == ["/slow", "/cart", "/odd"]
    assert names(page)[3:] == ["1.0", "2.0"]  # releases, the busiest first
    assert names(get(admin_client, sort="failing"))[0] == "/cart"
    assert names(get(admin_client, sort="busiest"))[0] == "/cart"
    assert page.count("<svg") >= 2 and "7 requests, 1 failed" in page
    [link] = re.findall(r'href="([^"]+)">/slow<', page)
    one = admin_client.get(unescape(link)).text
    assert re.search(r"<h1>/slow</h1>", one) and "2 requests, 0 failed" in one
    narrowed = get(admin_client, transaction="/cart", release="2.0")
    assert "1 request, 0 failed" in narrowed


def test_page_of_a_transaction_shows_its_open_issues(
    app: Flask, admin_client: FlaskClient, shop: Any
) -> None:
    shop(Request("/cart", "1.0", 20.0, True))
    for transaction in ("/cart", "/other", "/cart"):
        insert(app, {"message": "in two places", "transaction": transaction}, project_id=SHOP)
    insert(app, {"message": "elsewhere", "transaction": "/other"}, project_id=SHOP)
    insert(app, {"message": "of another project", "transaction": "/cart"})
    assert "in two places" in names(get(admin_client, transaction="/cart"))
    found = names(get(admin_client, transaction="/other"))
    assert found == []  # nothing was counted of it
    shop(Request("/other", "1.0", 20.0, True))
    found = names(get(admin_client, transaction="/other"))
    assert found[-2:] == ["elsewhere", "in two places"] and "of another project" not in found
    admin_client.patch("/api/issues/1", json={"status": "resolved"})
    assert "in two places" not in names(get(admin_client, transaction="/cart"))


def test_own_route_leads_to_issues_of_its_endpoint(app: Flask, admin_client: FlaskClient) -> None:
    admin_client.post("/test-error", json={"error_type": "exception", "message": "on purpose"})
    parts_of(app).intake.flush()
    page = admin_client.get("/admin/performance?transaction=/test-error").text
    assert any("on purpose" in name for name in names(page))
    page = admin_client.get("/admin/performance?transaction=/admin/login").text
    assert not any("on purpose" in name for name in names(page))


def test_older_requests_are_found_in_longer_periods(admin_client: FlaskClient, shop: Any) -> None:
    now = datetime.now(UTC)
    for age in (timedelta(hours=5), timedelta(days=3), timedelta(days=40)):
        with time_machine.travel(now - age):
            shop(Request("/cart", "1.0", 20.0, False))
    assert "No request came in this time" in get(admin_client, period="hour")
    for period, count in (
        ("day", "1 request,"),
        ("week", "2 requests,"),
        ("quarter", "3 requests,"),
    ):
        assert count in get(admin_client, period=period)


def test_more_transactions_than_a_page_has_are_on_the_next(
    admin_client: FlaskClient, shop: Any
) -> None:
    shop(*[Request(f"/route/{number:02}", "1.0", 10.0, False) for number in range(60)])
    page = get(admin_client)
    [following] = re.findall(r'href="([^"]+)" rel="next"', page)
    rest = names(admin_client.get(unescape(following)).text)
    assert len(names(page)) == 50 and len(rest) == 10
    assert set(names(page)).isdisjoint(rest)


# ---- nothing, and nonsense ----------------------------------------------------------------------


def test_empty_page_says_what_to_do(app: Flask, admin_client: FlaskClient, shop: Any) -> None:
    page = get(admin_client)
    assert "traces_sample_rate" in page and f"/admin/projects/{SHOP}/setup" in page
    shop(Request("/cart", "1.0", 20.0, False))
    page = get(admin_client, release="9.9", environment="moon")
    assert "No request in this time matches" in page and "Clear filters" in page


def test_what_is_wrong_in_the_address_is_told_and_left_out(
    admin_client: FlaskClient, shop: Any
) -> None:
    shop(Request("/cart", "1.0", 20.0, False))
    page = get(admin_client, period="year", sort="fair", after="x")
    assert "There is no period “year”" in page and "There is no sort “fair”" in page
    assert "/cart" in names(page)
    answer = admin_client.get("/admin/performance?project=none")
    assert "There is no project “none”" in answer.text


def test_names_of_strangers_are_only_text(admin_client: FlaskClient, shop: Any) -> None:
    shop(Request(HOSTILE, HOSTILE, 20.0, False), Request("/cart", "1.0", 20.0, False))
    for page in (get(admin_client), get(admin_client, transaction=HOSTILE, release=HOSTILE)):
        assert "<script>alert" not in page
