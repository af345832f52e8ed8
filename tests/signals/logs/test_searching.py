"""Searches find what an independent reading of the lines finds, on both databases."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.search.grammar import parse
from app.signals.logs import blocks
from app.signals.logs.filtering import LogFilter
from app.signals.logs.line import Line
from app.signals.logs.searching import Bounds, search_lines
from app.signals.logs.signal import write_lines
from app.signals.logs.terms import conditions_of
from app.store import utc_now
from tests.conftest import Parts, parts_of
from tests.signals.logs.steps import TRACE, ago, entry, found, send

WORDS = ("order", "paid", "Käufer", "declined", "bank", "PaymentError", "42", "a_b", "naïve", "zoo")
START = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def parts(app: Flask) -> Parts:
    return parts_of(app)


def lines_of(seed: int, count: int) -> list[Line]:
    """Return lines whose times go up and down."""
    random_ = random.Random(seed)
    return [
        Line(
            project_id=1,
            at=START + timedelta(seconds=number // 3 + random_.choice((0, 0, 0, -40, 7))),
            level=random_.choice(("info", "warning", "error")),
            body=" ".join(random_.choices(WORDS, k=random_.randrange(1, 6))) + f" no-{number}",
            attributes={
                "shop": random_.choice(("books", "toys", "Bücher & Café", 'a "b" c')),
                "n": random_.randrange(20),
                "is_new": random_.random() < 0.5,
                "user.id": f"u{random_.randrange(9)}",
            },
            release=random_.choice(("shop@1", "shop@2", None)),
            environment=random_.choice(("production", None)),
            trace_id=random_.choice((TRACE, None)),
        )
        for number in range(count)
    ]


def fill(parts: Parts, lines: list[Line], *, at_once: int = 40) -> list[Line]:
    """Write lines in batches, and return them in the order of the list."""
    for first in range(0, len(lines), at_once):
        with parts.store.write() as conn:
            write_lines(conn, lines[first : first + at_once])
    return sorted(lines, key=lambda line: line.key, reverse=True)


def folded(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text)
    return "".join(one for one in parts if not unicodedata.combining(one)).casefold()


def words(text: str) -> list[str]:
    spaced = "".join(one if one.isalnum() else " " for one in folded(text))
    return spaced.split()


def says(text: str) -> Callable[[Line], bool]:
    """Return whether the message or an attribute has these words in a row."""
    wanted = words(text)

    def check(line: Line) -> bool:
        values = [str(value) for value in line.attributes.values() if not isinstance(value, bool)]
        for one in (line.body, *values, line.release or "", line.environment or "", line.level):
            has = words(one)
            if any(has[at : at + len(wanted)] == wanted for at in range(len(has))):
                return True
        return False

    return check


def begins(text: str) -> Callable[[Line], bool]:
    def check(line: Line) -> bool:
        values = (line.body, *map(str, line.attributes.values()), line.release, line.environment)
        return any(one.startswith(text) for value in values for one in words(value or ""))

    return check


def is_(name: str, value: Any) -> Callable[[Line], bool]:
    return lambda line: line.attributes.get(name) == value


ORACLE: dict[str, Callable[[Line], bool]] = {
    "declined": says("declined"),
    "KAUFER": says("käufer"),
    '"order paid"': says("order paid"),
    '"declined bank"': says("declined bank"),
    "no-17": says("no-17"),
    "decl*": begins("decl"),
    "ka*": begins("ka"),
    "shop:books": is_("shop", "books"),
    'shop:"bucher & cafe"': is_("shop", "Bücher & Café"),
    r'shop:"a \"b\" c"': is_("shop", 'a "b" c'),
    "shop:[toys,books]": lambda line: line.attributes["shop"] in ("toys", "books"),
    "shop:bo*": is_("shop", "books"),
    "n:7": is_("n", 7),
    "n:>12": lambda line: line.attributes["n"] > 12,
    "N:>=12 n:<14.5": lambda line: 12 <= line.attributes["n"] < 14.5,
    "!n:<=12 bank": lambda line: line.attributes["n"] > 12 and "bank" in line.body,
    "tags[n]:<-1": lambda line: False,
    "price:>1e3": lambda line: False,
    "-order": says("order"),
    "is_new:true": is_("is_new", True),
    "user.id:u3 declined": lambda line: (
        line.attributes["user.id"] == "u3" and says("declined")(line)
    ),
    "!shop:toys !declined": lambda line: (
        line.attributes["shop"] != "toys" and not says("declined")(line)
    ),
    "has:environment": lambda line: line.environment is not None,
    "has:nothing": lambda line: False,
    "level:error release:shop@2": lambda line: (line.level, line.release) == ("error", "shop@2"),
    "message:books": lambda line: False,
    "message:bank": lambda line: "bank" in line.body,
    "paymenterror": lambda line: "PaymentError" in line.body,
    "error level:info": lambda line: line.level == "info" and "PaymentError" in line.body,
    f"trace:{TRACE} zoo": lambda line: line.trace_id is not None and "zoo" in line.body,
    "project:1 environment:production n:3": lambda line: (
        line.environment is not None and line.attributes["n"] == 3
    ),
}


@pytest.mark.parametrize("seed", [1, 2])
def test_every_query_finds_what_an_independent_reading_finds(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    # Small blocks, so that lines that come late divide some.
    monkeypatch.setattr(blocks, "MAX_LINES", 30)
    monkeypatch.setattr(blocks, "STEP", 10)
    lines = fill(parts, lines_of(seed, 260))
    assert found(parts) == [line.body for line in lines]
    for query, fits in ORACLE.items():
        assert found(parts, query) == [line.body for line in lines if fits(line)], query


def test_filters_and_ranges_find_what_an_independent_reading_finds(parts: Parts) -> None:
    lines = fill(parts, lines_of(3, 150))
    start, end = START + timedelta(seconds=10), START + timedelta(seconds=31)
    filters: list[tuple[dict[str, Any], Callable[[Line], bool]]] = [
        ({"level": "error"}, lambda line: line.level == "error"),
        ({"release": "shop@2"}, lambda line: line.release == "shop@2"),
        ({"environment": "production"}, lambda line: line.environment is not None),
        ({"trace": TRACE}, lambda line: line.trace_id is not None),
        ({"project_id": 1}, lambda line: True),
        ({"project_id": 2}, lambda line: False),
        ({"start": start, "end": end}, lambda line: start <= line.at < end),
        (
            {"start": start, "end": end, "query": "declined", "level": "info"},
            lambda line: (
                start <= line.at < end and line.level == "info" and "declined" in line.body
            ),
        ),
    ]
    for filter, fits in filters:
        expected = [line.body for line in lines if fits(line)]
        assert found(parts, **filter) == expected, filter


def test_pages_show_each_line_once_while_others_arrive(parts: Parts) -> None:
    send(parts, *(entry(f"old {n}", ago(minutes=n + 1)) for n in range(30)))
    filter, seen, before = LogFilter(query="old"), list[str](), None
    for number in range(10):
        with parts.store.read() as conn:
            page = filter.page(conn, before=before, limit=4)
        seen += [line.body for line in page.lines]
        before = page.next
        send(parts, entry(f"old too, but newer {number}"), entry("old and late", ago(minutes=0.5)))
        if before is None:
            break
    assert seen == [f"old {n}" for n in range(30)]


@pytest.mark.one_database
def test_search_beyond_its_budget_says_how_far_it_looked_and_goes_on(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.signals.logs.searching.BUDGET", 30)
    monkeypatch.setattr(blocks, "MAX_LINES", 20)
    monkeypatch.setattr(blocks, "STEP", 10)
    lines = fill(parts, lines_of(4, 200))
    expected = [line.body for line in lines if line.level == "error"]
    seen, before, stops = list[str](), None, 0
    with parts.store.read() as conn:
        while True:
            bounds = Bounds(before, None, {})
            page = search_lines(conn, conditions_of(conn, parse("level:error")), bounds, 1000)
            seen += [line.body for line in page.lines]
            if page.next is None:
                break
            assert page.searched_back_to is not None
            assert before is None or page.next < before
            assert all(line.at >= page.searched_back_to for line in page.lines)
            before, stops = page.next, stops + 1
    assert seen == expected and stops > 1


@pytest.mark.one_database
def test_page_and_api_say_where_a_search_stopped(
    parts: Parts,
    client: FlaskClient,
    admin_client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.signals.logs.searching.BUDGET", 30)
    monkeypatch.setattr(blocks, "MAX_LINES", 20)
    monkeypatch.setattr(blocks, "STEP", 10)
    now = utc_now()
    fill(parts, [Line(1, now - timedelta(seconds=n), "info", f"line {n} a b") for n in range(100)])
    answer = client.get("/api/logs?query=!line").json
    assert answer["logs"] == [] and answer["searched_back_to"] and answer["next"]
    page = admin_client.get("/admin/logs?query=!line&period=all").text
    assert "Searched back to" in page and "Continue with older lines" in page
    assert f"before={answer['next']}" in page


@pytest.mark.one_database
def test_long_lines_are_not_read_without_end(parts: Parts, client: FlaskClient) -> None:
    now, long = utc_now(), " ".join(f"word{n}" for n in range(1000))
    fill(parts, [Line(1, now - timedelta(seconds=n), "info", f"line {long}") for n in range(80)])
    read, path = 0, "/api/logs?query=!line"
    while path:
        answer = client.get(path).json
        path = answer["next"] and f"/api/logs?query=!line&cursor={answer['next']}"
        read += 1
    assert answer["logs"] == [] and read > 2


@pytest.mark.one_database
@pytest.mark.parametrize("cursor", ["x", "1", "99999999999999999-1", "-1-1", "1-1-1", "٣-١"])
def test_wrong_cursor_is_refused(client: FlaskClient, cursor: str) -> None:
    assert client.get("/api/logs", query_string={"cursor": cursor}).status_code == 422
