"""What the grammar of queries has works on lines, or is refused; nothing finds nothing silently."""

from __future__ import annotations

from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import ValidationError

from app.search.errors import QueryError
from app.search.keys import KEYS
from app.signals.logs.terms import OF_EVENTS
from tests.conftest import parts_of
from tests.signals.logs.steps import TRACE, entry, found, send

# A line with something for every key that lines have, and for attributes with odd names.
LINE = {
    "sentry.release": "shop@1.2",
    "sentry.environment": "production",
    "sentry.sdk.name": "sentry.python",
    "user.id": "u7",
    "user.email": "u7@example.com",
    "user.name": "anna",
    "client.address": "10.0.0.7",
    "url.full": "/pay",
    "count": 7,
    "share": 0.25,
    "text": "1.5e3",
    "odd name": 3,
    "timestamp": 11,
    "error.type": "PaymentError",
    "is_new": True,
}
VALUES = {
    "level": "warning",
    "release": "shop@1.2",
    "environment": "production",
    "project": "1",
    "user.id": "u7",
    "user.email": "u7@example.com",
    "user.username": "anna",
    "user.ip": "10.0.0.7",
    "message": "declined",
    "url": "/pay",
    "trace": TRACE,
    "sdk.name": "sentry.python",
    "has": "count",
    "count": "7",
    "tags[odd name]": "3",
    "tags[timestamp]": "11",
    "tags[error.type]": "PaymentError",
}
OTHERS = {"level": "error", "project": "2", "trace": "a" * 32}
COMPARED = {
    "count:>6": True,
    "count:>7": False,
    "count:>=7": True,
    "count:<7.1": True,
    "count:<=-1": False,
    "share:<0.3 share:>0.2": True,
    "text:>1499": True,
    "text:>1501": False,
    "tags[odd name]:>2": True,
    "tags[timestamp]:>10": True,
    "absent:>0": False,
    "is_new:>0": False,
    'count:">6"': False,
    "COUNT:<1e400": True,
}
REFUSED = {
    "is:unresolved": "finds issues, not logs",
    "!timesSeen:>3": "finds issues, not logs",
    "has:error.value": "finds events, not logs; an attribute is tags[error.value]",
    '"open': "the quote is not closed",
    "has:": "a value is expected after has:",
    "has:co*": "the name of a key or tag is expected",
    "has:timestamp": "the time of lines is chosen by the range",
    "dec*ned": "* stands only at the end of a word",
    "*": "a letter or digit is expected",
    "level:loud": "there is no level:loud",
    "level:>error": "there is no level:>error",
    "count:>": "one number is expected after >",
    "count:>many": "one number is expected after >",
    "count:<=1,5": "one number is expected after <=",
    "count:[>3,9]": "one number is expected after >",
    "release:>1.0": "> compares numbers of attributes",
    "!message:<3": "< compares numbers of attributes",
    "timestamp:>2026-11-20": "the time of lines is chosen by the range",
    "Body:declined": "write message:",
    "trace_id:abc": "write trace:",
    "trace:abc": "an id of 32 hexadecimal digits is expected",
    "project:nowhere": "there is no such project",
    "!project:nowhere": "there is no such project",
    "release:[latest,shop*]": "latest and a release with *",
    "level:warning OR level:error": "there is no OR",
    "declined OR paid": "there is no OR",
    "declined AND paid": "there is no AND",
    "NOT level:error": "! before a term excludes",
    "-level:error": "! excludes what a term finds",
    "(level:error)": "terms have no brackets",
}


@pytest.fixture
def line(app: Flask) -> Flask:
    send(parts_of(app), entry("payment declined", level="warn", attributes=LINE))
    return app


@pytest.mark.one_database
def test_every_key_finds_its_lines_in_every_form_or_is_refused(line: Flask) -> None:
    parts, ours = parts_of(line), ["payment declined"]
    for key in {*KEYS, *VALUES}:
        value = VALUES.get(key)
        if value is None:
            assert key in OF_EVENTS or key not in VALUES
            for term in f"{key}:1", f"!{key}:1", f"has:{key}":
                if term == f"has:{key}" and key not in OF_EVENTS:
                    continue  # A line may have an attribute of this name.
                # What the grammar refuses is no query, what lines do not have is an error of it.
                with pytest.raises((QueryError, ValidationError)):
                    found(parts, term)
            continue
        other = OTHERS.get(key, "nothing")
        assert found(parts, f"{key}:{value}") == ours, key
        assert found(parts, f'{key}:"{value}"') == ours, key
        assert found(parts, f"{key}:[{value}]") == ours, key
        assert found(parts, f"!{key}:{value}") == [], key
        if key != "project":
            assert found(parts, f"{key}:{other}") == [], key
            assert found(parts, f"!{key}:{other}") == ours, key
        if key not in ("has", "level"):
            start = "dev" if key == "project" else value[:4]
            assert found(parts, f"{key}:{start}*") == ours, key
            assert found(parts, f'has:"{key}"') == ours, key


def test_comparisons_find_numbers_of_attributes(line: Flask) -> None:
    for query, is_found in COMPARED.items():
        assert bool(found(parts_of(line), query)) == is_found, query
        if " " not in query.replace("odd name", ""):
            assert bool(found(parts_of(line), f"!{query}")) != is_found, query


@pytest.mark.one_database
def test_wrong_query_is_refused_with_what_was_expected(
    line: Flask, client: FlaskClient, admin_client: FlaskClient
) -> None:
    for query, message in REFUSED.items():
        answer = client.get("/api/logs", query_string={"query": query})
        assert answer.status_code == 422 and message in answer.json["errors"][0]["message"], query
        given = {"query": query, "period": "all"}
        page = unescape(admin_client.get("/admin/logs", query_string=given).text)
        assert "query-problem" in page and message[1:] in page, query
        assert 'id="log-' not in page, query


@pytest.mark.one_database
def test_trace_with_dashes_and_words_that_look_like_operators_are_found(line: Flask) -> None:
    parts, dashed = parts_of(line), "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
    assert found(parts, f"trace:{dashed}") == found(parts, f"trace:{TRACE.upper()}") != []
    send(parts, entry("DEAD OR ALIVE - NOT NULL"))
    for query in '"DEAD OR ALIVE"', "NOT NULL", "dead or alive", "-null":
        assert found(parts, query) == ["DEAD OR ALIVE - NOT NULL"], query


@pytest.mark.one_database
def test_attribute_named_as_a_field_is_linked_and_completed_in_brackets(
    line: Flask, admin_client: FlaskClient
) -> None:
    page = admin_client.get("/admin/logs?period=all").text
    assert "query=tags%5Btimestamp%5D%3A11" in page and "tags%5Berror.type%5D" in page
    found_by_it = admin_client.get("/admin/logs?period=all&query=tags%5Btimestamp%5D%3A11").text
    assert 'id="log-' in found_by_it
