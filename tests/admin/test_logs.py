"""Logs on pages: beside an event, completed in the query line, and what an empty list says."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from app.signals.logs.line import Line
from app.signals.logs.signal import write_lines
from app.store import utc_now
from tests.admin.hostile import insert
from tests.admin.test_query_completion import completed
from tests.conftest import parts_of
from tests.questions import questions
from tests.signals.logs.steps import TRACE, entry, send

pytestmark = pytest.mark.one_database


def test_page_of_an_error_shows_the_lines_of_its_trace(
    app: Flask, admin_client: FlaskClient
) -> None:
    send(parts_of(app), entry("of the trace"), entry("of another", trace_id="a" * 32))
    event_id = insert(app, {"message": "declined", "contexts": {"trace": {"trace_id": TRACE}}})
    with questions() as asked:
        page = admin_client.get(f"/admin/events/{event_id}").text
    assert "of the trace" in page and "of another" not in page
    assert f"query=trace:{TRACE}" in page and len(asked) <= 12


def test_page_of_an_error_without_a_trace_shows_the_lines_of_the_minute_before(
    app: Flask, admin_client: FlaskClient
) -> None:
    now = utc_now()
    times = {"too old": -90, "just before": -20, "later": 20}
    send(parts_of(app), *(entry(text, now + timedelta(seconds=s)) for text, s in times.items()))
    event_id = insert(app, {"message": "declined", "timestamp": now.timestamp()})
    page = admin_client.get(f"/admin/events/{event_id}").text
    assert "just before" in page and "too old" not in page and ">later<" not in page


def test_empty_list_leads_to_a_project_and_attributes_are_completed(
    app: Flask, admin_client: FlaskClient
) -> None:
    page = admin_client.get("/admin/logs").text
    assert "enable_logs=True" in page and "Set up a project" in page
    send(parts_of(app), entry(attributes={"plan": "gold one", "odd name": 1}))
    assert completed(admin_client, "pla", list="logs") == ["plan:"]
    assert completed(admin_client, "plan:", list="logs") == ['plan:"gold one"']
    assert completed(admin_client, "!lev", list="logs") == ["!level:"]
    assert completed(admin_client, "odd", list="logs") == ["tags[odd name]:"]
    assert completed(admin_client, "level:w", list="logs") == ["level:warning"]


def test_chart_counts_the_lines_of_the_list_or_is_left_out(
    app: Flask, admin_client: FlaskClient
) -> None:
    parts = parts_of(app)
    other = create_project(parts.store, "shop").id
    send(parts, *[entry()] * 3, *[entry(level="error", attributes={"plan": "gold"})] * 2)
    send(parts, entry(level="fatal"), project_id=other)
    # What the chart has, in words, and how many lines the list has.
    expected = {
        "": ("6 lines (1 fatal, 2 error, 3 info)", 6),
        "level:error": ("2 lines (2 error)", 2),
        "level:[error,fatal]": ("3 lines (1 fatal, 2 error)", 3),
        "!level:info": ("3 lines (1 fatal, 2 error)", 3),
        "project:shop": ("1 line (1 fatal)", 1),
        "!project:shop level:info": ("3 lines (3 info)", 3),
        "level:debug": ("", 0),
        "has:level": ("", 6),
        "plan:gold": ("", 2),
        "level:error plan:gold": ("", 2),
        "environment:nowhere": ("", 0),
    }
    for query, (words, lines) in expected.items():
        with questions() as asked:
            answer = admin_client.get("/admin/logs", query_string={"query": query})
        label = re.search(r'role="group" aria-label="([^"]*); at most', answer.text)
        assert (label[1] if label else "") == words, query
        assert answer.text.count('<li id="log-') == lines and len(asked) <= 12
    of_project = admin_client.get(f"/admin/logs?project={other}").text
    assert "1 line (1 fatal); at most 1 in 30 minutes" in of_project
    assert 'role="group"' not in admin_client.get(f"/admin/logs?query=trace:{TRACE}").text
    assert 'role="group"' not in admin_client.get("/admin/logs?live=on").text
    terms = " ".join(["!level:debug"] * 40)
    assert 'role="group"' not in admin_client.get(f"/admin/logs?query={terms}").text


def test_bar_leads_to_the_lines_of_its_time(app: Flask, admin_client: FlaskClient) -> None:
    now = utc_now()
    times = [now - timedelta(hours=hours) for hours in (1, 1, 5, 30, 30, 30, 500)]
    send(parts_of(app), *(entry(at=at, level="error") for at in times), entry(at=times[0]))
    for period, at_least in ("hour", 1), ("day", 2), ("week", 3), ("quarter", 3):
        page = admin_client.get(f"/admin/logs?period={period}&query=level:error").text
        bars = re.findall(
            r'<a href="([^"]+)" tabindex="-1" aria-label="[^:]+(?::\d+)?: (\d+) ', page
        )
        assert len(bars) >= at_least
        for address, lines in bars:
            found = admin_client.get(unescape(address)).text
            assert found.count('<li id="log-') == int(lines), address


HOSTILE = '<&"\U0001f600'


def hostile_lines(count: int) -> list[Line]:
    """Return lines with all that is stored of them, in the characters that take most as HTML."""
    now = utc_now()
    return [
        Line(
            1,
            now - timedelta(seconds=number),
            "info",
            HOSTILE * 2500,
            {f"{HOSTILE}{n:03}": "&\U0001f600" * 96 for n in range(100)},
            release="<" * 250,
            environment="&" * 64,
            trace_id=TRACE,
            span_id="b" * 16,
            cut="c" * 200,
        )
        for number in range(count)
    ]


def test_page_of_hostile_lines_is_bounded_and_leads_to_each_whole_line(
    app: Flask, admin_client: FlaskClient
) -> None:
    parts = parts_of(app)
    with parts.store.write() as conn:
        write_lines(conn, hostile_lines(130))
    seen, path = list[str](), "/admin/logs?period=all"
    while path:
        answer = admin_client.get(path)
        assert len(answer.data) <= 500_000
        seen += re.findall(r'<li id="log-(\d+)"', answer.text)
        older = re.search(r'<a href="([^"]+)" rel="next"', answer.text)
        path = unescape(older[1]) if older else ""
    assert len(seen) == len(set(seen)) == 130
    whole = re.search(r'href="(/admin/logs/\d+-\d+)">The whole line, with \d+ more', answer.text)
    page = admin_client.get(whole[1])
    assert unescape(page.text).count(HOSTILE * 2500) == 1
    assert len(re.findall(r'<tr><th scope="row">&lt;&amp;', page.text)) == 100
    assert len(page.data) <= 500_000


def test_pages_beside_an_error_and_a_span_share_the_bound(
    app: Flask, admin_client: FlaskClient
) -> None:
    transaction = {
        "type": "transaction",
        "contexts": {"trace": {"trace_id": TRACE, "span_id": "b" * 16}},
        "start_timestamp": (utc_now() - timedelta(seconds=1)).timestamp(),
        "timestamp": utc_now().timestamp(),
    }
    item = Item({"type": "transaction"}, transaction)
    parts_of(app).intake.accept(Envelope({"event_id": "c" * 32}, [item]), project_id=1, timeout_s=5)
    send(parts_of(app), entry())
    with parts_of(app).store.write() as conn:
        write_lines(conn, hostile_lines(60))
    event_id = insert(app, {"message": "declined", "contexts": {"trace": {"trace_id": TRACE}}})
    assert len(admin_client.get(f"/admin/events/{event_id}").data) <= 200_000
    of_span = admin_client.get(f"/admin/traces/{TRACE}?span={'b' * 16}")
    assert "log-lines" in of_span.text and len(of_span.data) <= 300_000


def test_page_of_ordinary_lines_has_all_of_them(app: Flask, admin_client: FlaskClient) -> None:
    attributes = {f"shop.attribute.{n}": f"a value of {n} words" for n in range(14)}
    entries = (entry(f"order {n} paid", attributes=attributes) for n in range(100))
    send(parts_of(app), *entries)
    page = admin_client.get("/admin/logs?period=all").text
    assert page.count("This line alone") == 100 and "The whole line" not in page
    assert page.count("query=shop.attribute.13") == 100


@pytest.mark.parametrize("place", ["1-1", "x", "1-99999999999999999999", "9" * 16 + "-1"])
def test_line_that_is_not_stored_is_not_found(admin_client: FlaskClient, place: str) -> None:
    assert admin_client.get(f"/admin/logs/{place}").status_code == 404


def test_page_of_the_api_is_bounded_by_bytes_and_loses_no_line(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.signals.logs.searching.MAX_BYTES", 30_000)
    entries = (entry(f"{n} {'w' * 9_000}", utc_now() - timedelta(seconds=n)) for n in range(10))
    send(parts_of(app), *entries)
    found, path, sizes = list[str](), "/api/logs?limit=1000", list[int]()
    while path:
        page = client.get(path).json
        found += [line["body"].split()[0] for line in page["logs"]]
        sizes.append(len(page["logs"]))
        path = page["next"] and f"/api/logs?limit=1000&cursor={page['next']}"
    assert found == [str(n) for n in range(10)] and sizes == [3, 3, 3, 1]
    assert len(client.get("/api/logs/export").text.splitlines()) == 10


@pytest.mark.one_database
@pytest.mark.parametrize(
    "name", ["tags[x]", 'tags["x"]', "tags[level]", "a]b", 'a"b', "tags[", "level"]
)
def test_link_of_an_attribute_of_any_name_finds_its_line(
    app: Flask, admin_client: FlaskClient, name: str
) -> None:
    send(parts_of(app), entry("this one", attributes={name: "gold"}), entry("another"))
    page = admin_client.get("/admin/logs").text
    (address,) = re.findall(r'<a href="([^"]+)" title="Lines with this value">gold<', page)
    found = admin_client.get(unescape(address)).text
    assert found.count('<li id="log-') == 1 and "this one" in found
