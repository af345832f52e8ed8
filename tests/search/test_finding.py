"""What queries find, the same on both databases and as a plain reading of the events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.search.errors import QueryError
from app.search.grammar import Query, Term, Value, parse
from app.search.indexing import clear
from app.store import Store
from tests.conftest import Parts, parts_of
from tests.issues.payloads import chain, error, exc, py
from tests.search.oracle import fulfils
from tests.search.steps import ALL, found, issue_of, issues_found, send_all

Payload = dict[str, Any]

# Each line: a query, and the events that it finds, by their names in EVENTS.
EVENTS: dict[str, Payload] = {
    "paying": chain(
        exc(py("shop.net:connect"), type="TimeoutError", value="connection timed out"),
        exc(py("payment.service:charge"), type="PaymentError", value="Zahlung für Käufer 7"),
    )
    | {
        "level": "fatal",
        "release": "shop@2.4.0",
        "environment": "production",
        "transaction": "/cart/pay",
        "tags": {"region": "eu-west", "level": "gold"},
        "user": {"id": "7", "email": "Anna@Example.com", "ip_address": "10.0.0.7"},
        "request": {"url": "https://shop.example/cart/pay?token=1"},
        "contexts": {"trace": {"trace_id": "a" * 32, "span_id": "b" * 16}},
        "sdk": {"name": "sentry.python"},
    },
    "mailing": error(py("shop.mail:sendMail"), type="SMTPError", value="timed out, no connection")
    | {
        "release": "shop@2.5.0",
        "environment": "staging",
        "tags": {"region": "us-east"},
        "user": {"id": "8", "username": "ben"},
    },
    "logged": {"message": "Payment of order 12 failed: отказано", "level": "warning"},
}
QUERIES = [
    ("payment", "paying logged"),
    ("PAYMENT", "paying logged"),
    ("zahlung fur kaufer", "paying"),
    ("KÄUFER", "paying"),
    ("timed connection", "paying mailing"),
    ("connection timed", "paying mailing"),
    ('"connection timed out"', "paying"),
    ('"timed out"', "paying mailing"),
    ('"out timed"', ""),
    ("payment.service", "paying"),
    ("service.charge", ""),
    ("отказано", "logged"),
    ("ОТКАЗ*", "logged"),
    ("pay*", "paying logged"),
    ("mail", "mailing"),
    ("sendmail", "mailing"),
    ("anna@example.com", "paying"),
    ("level:fatal", "paying"),
    ("tags[level]:gold", "paying"),
    ("!level:fatal", "mailing logged"),
    ("level:[fatal,warning]", "paying logged"),
    ("release:shop@2.4.0", "paying"),
    ("release:shop@2.*", "paying mailing"),
    ("environment:PRODUCTION", "paying"),
    ("transaction:/cart/*", "paying"),
    ("region:eu-west", "paying"),
    ("!region:eu-west", "mailing logged"),
    ("region:*", "paying mailing"),
    ("has:region", "paying mailing"),
    ("!has:region", "logged"),
    ("has:user", "paying mailing"),
    ("has:user.email", "paying"),
    ("user.email:anna@example.com", "paying"),
    ("user.id:8", "mailing"),
    ("user.username:ben", "mailing"),
    ("user.ip:10.0.0.7", "paying"),
    ("error.type:TimeoutError", "paying"),
    ("error.type:PaymentError", "paying"),
    ("error.type:Error", ""),
    ('error.value:"timed out"', "paying mailing"),
    ("error.value:payment", ""),
    ("message:order", "logged"),
    ("message:smtp*", "mailing"),
    ("stack.function:charge", "paying"),
    ("stack.module:payment.service", "paying"),
    ("stack.filename:payment/service.py", "paying"),
    ("stack.filename:service.py", "paying"),
    ("url:https://shop.example/cart/pay", "paying"),
    ("url:/cart/pay", "paying"),
    (f"trace:{'a' * 32}", "paying"),
    ("sdk.name:sentry.python", "paying"),
    ("project:1", "paying mailing logged"),
    ("project:nothing", ""),
    ("!project:nothing timed", "paying mailing"),
    ("release:latest", "mailing"),
    ("!release:latest", "paying logged"),
    ("timed !region:eu-west", "mailing"),
    ("", "paying mailing logged"),
]


@pytest.fixture
def parts(app: Flask) -> Parts:
    return parts_of(app)


@pytest.fixture
def names(parts: Parts) -> dict[str, str]:
    """Return the names of the stored events, by id."""
    ids = send_all(parts, EVENTS.values())
    return dict(zip(ids, EVENTS, strict=True))


def test_queries_find_their_events(parts: Parts, names: dict[str, str]) -> None:
    answers = {query: {names[id] for id in found(parts.store, query)} for query, _ in QUERIES}

    assert answers == {query: set(wanted.split()) for query, wanted in QUERIES}


def test_queries_find_the_issues_of_their_events(parts: Parts, names: dict[str, str]) -> None:
    issues = {issue_of(parts.store, id): name for id, name in names.items()}
    answers = {query: issues_found(parts.store, query) for query, _ in QUERIES}

    found = {query: {issues[number] for number in ids} for query, ids in answers.items()}
    assert found == {query: set(wanted.split()) for query, wanted in QUERIES}


INSIDE = [
    ("*ment*", "paying logged"),
    ("*ahlung", "paying"),
    ("zah*ung", "paying"),
    ("*ent.serv*", "paying"),
    ("!*ment*", "mailing"),
    ("stack.module:*service", "paying"),
    ("stack.module:*servic", ""),
    ("error.type:*Error", "paying mailing"),
    ("region:*-west", "paying"),
    ("region:[*-west,us-east]", "paying mailing"),
    ("*ment* level:fatal", "paying"),
    ("*азан*", "logged"),
]


def test_stars_inside_words_find_issues(parts: Parts, names: dict[str, str]) -> None:
    issues = {issue_of(parts.store, id): name for id, name in names.items()}
    answers = {query: issues_found(parts.store, query) for query, _ in INSIDE}

    found = {query: {issues[number] for number in ids} for query, ids in answers.items()}
    assert found == {query: set(wanted.split()) for query, wanted in INSIDE}


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("level:error *ment*", "for events, * stands only at the end of a word at 13"),
        ("timed 🔥", "a letter or digit is expected at 7"),
        ("a*", "at least 2 letters are needed before * at 1"),
    ],
)
def test_what_cannot_be_searched_for_is_refused_with_its_place(
    parts: Parts, query: str, problem: str
) -> None:
    with pytest.raises(QueryError) as raised:
        found(parts.store, query)

    assert str(raised.value) == problem


@pytest.mark.parametrize("query", ["*ab*", "user.email:*@example.com", "has:a*b"])
def test_star_that_no_index_knows_is_refused(parts: Parts, query: str) -> None:
    with pytest.raises(QueryError):
        issues_found(parts.store, query)


HOSTILE = [
    '"a" OR "b"', "tokens:*", "a NEAR(b)", "{a b}", "a:*&b", "'; DROP TABLE events --", "a\\", "^a",
    "(((", "a|b", "!(a)", "-a", "x" * 900, "a\x00b", "\ud800a", "é" * 900, "💥a💥", "% _ a",
    "tags[a'b\"c]:1", 'tags[x]:"\'"', "\u0130stanbul", "ﬁ ß ŉ a",
]  # fmt: skip


def test_hostile_queries_are_answered_or_refused(parts: Parts, names: dict[str, str]) -> None:
    for query in HOSTILE:
        for ask in (found, issues_found):
            try:
                ask(parts.store, query)
            except QueryError:
                continue


def test_hostile_events_are_indexed_and_found(parts: Parts) -> None:
    hostile = ["a" * 1_000_000, "b\x00c", "\ud83d", "💥 bang", "'\"\\&|!:*()<->", "ŉ ß İ ﬁ Ⅷ"]
    ids = send_all(parts, [{"message": text, "tags": {text: text}} for text in hostile])
    many = {f"key{n}": f"value{n}" for n in range(5000)}
    (last,) = send_all(parts, [{"message": " ".join(map(str, range(20_000))), "tags": many}])

    assert found(parts.store, "a" * 300) == [ids[0]]
    assert found(parts.store, "bang") == [ids[3]]
    assert found(parts.store, "istanbul") == []
    assert found(parts.store, "viii ss fi") == [ids[5]]
    assert found(parts.store, "tags[key7]:value7") == [last]


# ---- against a plain reading --------------------------------------------------------------------

WORD = st.sampled_from(["pay", "payment", "Käufer", "kaufer", "order", "7", "отказ", "a_b", "zeta"])
TEXT = st.lists(WORD, min_size=1, max_size=4).map(" ".join)
TYPE = st.sampled_from(["PaymentError", "TimeoutError", "Zeta"])
FRAME = st.builds(
    lambda module, function: py(f"{module}:{function}"),
    st.sampled_from(["shop.pay", "shop.mail", "zeta"]),
    st.sampled_from(["charge", "sendMail", "pay"]),
)
ERROR = st.builds(
    lambda type, value, frames: exc(*frames, type=type, value=value),
    TYPE,
    TEXT,
    st.lists(FRAME, min_size=1, max_size=2),
)
VALUE = st.sampled_from(["eu-west", "eu", "EU", "us", "/a/b", "shop@1.0", "é"])
KEYS_OF_EVENTS = {
    "level": st.sampled_from(["error", "fatal", "info"]),
    "release": VALUE,
    "environment": VALUE,
    "transaction": VALUE,
}
PAYLOAD = st.one_of(
    st.builds(lambda text: {"message": text}, TEXT),
    st.builds(lambda errors: chain(*errors), st.lists(ERROR, min_size=1, max_size=2)),
).flatmap(
    lambda payload: st.fixed_dictionaries(
        {},
        optional={
            **KEYS_OF_EVENTS,
            "tags": st.dictionaries(st.sampled_from(["region", "zone"]), VALUE),
            "user": st.fixed_dictionaries({}, optional={"id": VALUE, "email": TEXT}),
        },
    ).map(lambda more: payload | more)
)
KEY = st.sampled_from(
    ["", "", "", "message", "error.value", "level", "release", "environment", "transaction"]
    + ["region", "zone", "user.id", "user.email", "error.type", "stack.function", "stack.module"]
    + ["stack.filename", "has"]
)


@st.composite
def terms(draw: st.DrawFn) -> Term:
    key = draw(KEY)
    kind = {"error.type": TYPE, "has": st.sampled_from(["region", "user", "release", "message"])}
    kind["level"] = KEYS_OF_EVENTS["level"]
    if key.startswith("stack."):
        kind[key] = st.sampled_from(["charge", "sendmail", "shop.pay", "shop/pay.py", "pay.py"])
    texts = kind.get(key, TEXT if key in ("", "message", "error.value") else VALUE | TEXT)
    is_quoted = draw(st.booleans())
    has_star = not is_quoted and key not in ("has", "level") and draw(st.booleans())
    values = draw(st.lists(texts, min_size=1, max_size=2 if key else 1))
    if has_star:
        # A space ends a value, and a beginning has two letters.
        values = [text.replace(" ", ".") if len(text) > 1 else text * 2 for text in values]
    given = [
        Value(text + "*" * has_star, not has_star and (is_quoted or " " in text), has_star)
        for text in values
    ]
    return Term(key, "=", tuple(given), draw(st.booleans()))


@pytest.fixture
def emptied(parts: Parts) -> Iterator[Parts]:
    yield parts


@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_search_finds_what_a_plain_reading_finds(parts: Parts, data: st.DataObject) -> None:
    store = parts.store
    _empty(store)
    payloads = data.draw(st.lists(PAYLOAD, min_size=1, max_size=6))
    ids = send_all(parts, payloads)

    for _ in range(8):
        query = Query(tuple(data.draw(st.lists(terms(), min_size=1, max_size=3))))
        wanted = {id for id, p in zip(ids, payloads, strict=True) if fulfils(p, query.terms)}
        assert set(_ask(store, query)) == wanted, str(query)
        issues = {issue_of(store, id) for id in wanted}
        assert _ask_issues(store, query) == issues, str(query)


def _ask(store: Store, query: Query) -> list[str]:
    # As a person writes it, so that the grammar is part of what is tested.
    assert parse(str(query)).terms == query.terms
    return found(store, str(query), ALL)


def _ask_issues(store: Store, query: Query) -> set[int]:
    return issues_found(store, str(query), ALL)


def _empty(store: Store) -> None:
    clear(store)
    with store.write() as conn:
        for table in ("events", "transitions", "issues", "envelopes"):
            conn.execute(text(f"DELETE FROM {table}"))
