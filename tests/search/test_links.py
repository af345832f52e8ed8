"""The link of a value finds what has the value, whatever it is: lines, events and issues."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.search.grammar import Query, parse, with_term
from tests.conftest import parts_of
from tests.search import steps
from tests.signals.logs.steps import entry, found, send

PIECES = [*'"[],!:*\\<>=-+/%&#()?{}~^|;', "tags[", "a", "é", "7", "latest", "OR", " ", "1e3", "𝔘"]
RANDOM = random.Random(5)
TEXTS = [">5", ">abc", "<=1", ">", "<", ">=", "latest", "me", "none", "true", "-7", "!x", "[a,b]"]
TEXTS += ["".join(RANDOM.choices(PIECES, k=RANDOM.randrange(1, 6))).strip() for _ in range(25)]
TEXTS = [text for text in dict.fromkeys(TEXTS) if text]
NAMES = ("size", "release", "odd name", "user.id")


def linked(name: str, text: str) -> str:
    """Return the query of the link of a value, as a page has it."""
    query = str(with_term(Query(), f"tags[{name}]", text))
    assert str(parse(query)) == query
    return query


def test_link_of_any_value_of_an_attribute_finds_its_line(app: Flask) -> None:
    values: Sequence[Any] = [*TEXTS, 7, -2.5, True]
    named = [(name, value) for name in NAMES for value in values]
    send(
        parts_of(app), *[entry(f"line {n}", attributes=dict([one])) for n, one in enumerate(named)]
    )
    for number, (name, value) in enumerate(named):
        query = linked(name, value if isinstance(value, str) else str(value).lower())
        assert f"line {number}" in found(parts_of(app), query), query


@pytest.mark.one_database
def test_links_of_a_page_of_logs_find_their_lines(app: Flask, admin_client: FlaskClient) -> None:
    for text in (">5", ">abc", "<=1"):
        send(parts_of(app), entry("marked", attributes={"gt": text}))
    page = admin_client.get("/admin/logs?period=all").text
    links = [unescape(link) for link in re.findall(r'href="(/admin/logs\?[^"]*gt%3A[^"]*)"', page)]
    assert len(set(links)) == 3
    for link in links:
        assert admin_client.get(link).text.count('id="log-') == 1, link


def test_link_of_any_tag_finds_its_event_and_issue(app: Flask) -> None:
    parts = parts_of(app)
    ids = steps.send_all(parts, [{"message": "tagged", "tags": {"size": text}} for text in TEXTS])
    for event_id, text in zip(ids, TEXTS, strict=True):
        query = linked("size", text)
        assert event_id in steps.found(parts.store, query), query
        assert steps.issue_of(parts.store, event_id) in steps.issues_found(parts.store, query)


@pytest.mark.one_database
def test_menu_means_the_latest_release(app: Flask, admin_client: FlaskClient) -> None:
    steps.send_all(parts_of(app), [{"message": "released", "release": "shop@1"}])
    page = admin_client.get("/admin/issues?query=release:latest").text
    assert re.search('aria-current="true">latest<', page)
    page = admin_client.get("/admin/issues?query=release:%22latest%22").text
    assert 'aria-current="true">latest<' not in page and "query=release%3Alatest" in page
