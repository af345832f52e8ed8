from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.search.errors import QueryError
from app.search.grammar import MAX_LENGTH, Query, Term, Value, hints, parse, with_term, without
from app.search.keys import EVENT_KEYS, ISSUE_KEYS, KEYS, MEANINGS, moments_of, span_of

TEXTS = st.text(max_size=20)
# What the grammar reads in a special way, in any order.
PIECES = st.lists(
    st.sampled_from(
        ['"', "[", "]", ",", "!", ":", "*", " ", "\\", ">", "<=", "tags[", "level", "timesSeen"]
        + ["is", "resolved", "a", "é", "7", "-24h", "firstSeen", "region", "\t"]
    ),
    max_size=14,
).map("".join)


def only(text: str) -> Term:
    (term,) = parse(text).terms
    return term


@pytest.mark.parametrize(
    ("text", "key", "operator", "values"),
    [
        ("timeout", "", "=", ["timeout"]),
        ('"timed out"', "", "=", ["timed out"]),
        ("is:unresolved", "is", "=", ["unresolved"]),
        ("level:error", "level", "=", ["error"]),
        ("LEVEL:error", "level", "=", ["error"]),
        ("first_seen:-24h", "firstSeen", "=", ["-24h"]),
        ("release:latest", "release", "=", ["latest"]),
        ("release:shop@2.4.0+7", "release", "=", ["shop@2.4.0+7"]),
        ("environment:[production,staging]", "environment", "=", ["production", "staging"]),
        ('region:[ "eu west" , us ]', "region", "=", ["eu west", "us"]),
        ("user.email:ann@example.com", "user.email", "=", ["ann@example.com"]),
        (r'message:"say \"no\" \\ now"', "message", "=", [r'say "no" \ now']),
        (r'stack.filename:"C:\shop\pay.py"', "stack.filename", "=", [r"C:\shop\pay.py"]),
        ("timesSeen:>100", "timesSeen", ">", ["100"]),
        ("users:<=10", "users", "<=", ["10"]),
        ("lastSeen:>=2026-11-20", "lastSeen", ">=", ["2026-11-20"]),
        ("firstSeen:+7d", "firstSeen", "=", ["+7d"]),
        ("size:>5", "size", "=", [">5"]),
        ("tags[level]:gold", "tags[level]", "=", ["gold"]),
        ("tags[region]:eu", "region", "=", ["eu"]),
        ('tags["a]b"]:eu', "a]b", "=", ["eu"]),
        ("trace:8fb7", "trace", "=", ["8fb7"]),
        # Pasted texts are no keys.
        ("https://shop.example/pay", "", "=", ["https://shop.example/pay"]),
        ("PaymentError:", "", "=", ["PaymentError:"]),
        ("std::vector", "", "=", ["std::vector"]),
        ("12:30:55", "", "=", ["12:30:55"]),
        ("[object", "", "=", ["[object"]),
        ("tags[0]", "", "=", ["tags[0]"]),
        ("!", "", "=", ["!"]),
    ],
)
def test_term_is_read(text: str, key: str, operator: str, values: list[str]) -> None:
    term = only(text)

    assert (term.key, term.operator) == (key, operator)
    assert [value.text for value in term.values] == values
    assert not term.is_negated


def test_terms_are_separated_by_spaces_and_know_their_place() -> None:
    query = parse('  timeout   !level:info\t"a b"')

    assert [(term.key, term.is_negated, term.at) for term in query.terms] == [
        ("", False, 2),
        ("level", True, 12),
        ("", False, 24),
    ]


def test_star_is_a_wildcard_except_in_quotes() -> None:
    assert only("stack.function:charge*").values == (Value("charge*", has_wildcard=True),)
    assert only('stack.function:"charge*"').values == (Value("charge*", is_quoted=True),)


def test_terms_of_the_issue_are_apart_from_those_of_an_event() -> None:
    query = parse("is:new timeout region:eu timesSeen:>5")

    assert [term.key for term in query.of_issue] == ["is", "timesSeen"]
    assert [term.key for term in query.of_event] == ["", "region"]
    assert not set(ISSUE_KEYS) & set(EVENT_KEYS)


def test_tag_of_a_term_is_its_name() -> None:
    tags = [term.tag for term in parse("word level:error tags[level]:gold region:eu").terms]

    assert tags == [None, None, "level", "region"]


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("timeout is:unresolve", 11, "Did you mean is:unresolved?"),
        ("is:open", 3, "Did you mean is:unresolved?"),
        ("is:[resolved,xyz]", 13, "there is no is:xyz, only unresolved, resolved"),
        ("level:eror", 6, "Did you mean level:error?"),
        ("timesSeen:>many", 11, "a number is expected"),
        ("users:99999999999", 6, "a number is expected"),
        ("firstSeen:yesterday", 10, "a time is expected"),
        ("firstSeen:>-24h", 11, "a time is expected"),
        ('a message:"timed out', 10, "the quote is not closed"),
        ('"a"b', 3, "a space is expected"),
        ("region:[eu,us", 7, "a list is expected"),
        ("region:[]", 7, "a list is expected"),
        ("region:[a]b", 10, "a space is expected"),
        ("is:", 2, "a value is expected after is:"),
        ("level: error", 5, "a value is expected after level:"),
        ("x " * 51, 100, "a query has at most 50 terms"),
        ("x" * 1001, 1000, "a query has at most 1,000 characters"),
    ],
)
def test_wrong_query_says_where_it_is_wrong(text: str, at: int, message: str) -> None:
    with pytest.raises(QueryError) as raised:
        parse(text)

    assert raised.value.at == at
    assert message in raised.value.message
    assert raised.value.errors == {"query": f"{raised.value.message} at {at + 1}"}
    assert raised.value.end > at


def test_key_that_looks_like_a_typo_gets_a_hint() -> None:
    assert hints(parse("levl:error region:eu level:info")) == [
        "“levl” is read as the name of a tag. Did you mean level?"
    ]


@given(PIECES | TEXTS)
@example("[ ![a x:[[] x:[[,a]")
@example("tags[std]::vector tags[a]://b")
def test_what_was_read_is_written_back(text: str) -> None:
    try:
        query = parse(text)
    except QueryError as error:
        assert 0 <= error.at <= len(text)
        return

    assert parse(str(query)) == query


@given(st.sampled_from([*EVENT_KEYS, "", "region", "tags[level]"]) | TEXTS, TEXTS)
@example("A", ":")
def test_added_term_is_read_as_exactly_this_value(key: str, value: str) -> None:
    if key == "level" or "\x00" in key + value:
        return

    query = with_term(parse("timeout"), key, value)

    assert parse(str(query)) == query
    added = query.terms[-1].values[0]
    assert added.text == value and not added.has_wildcard
    # For logs, these would compare numbers.
    assert added.is_quoted or not value.startswith((">", "<"))


@pytest.mark.parametrize(
    ("key", "name"), [(key, name) for key, names in MEANINGS.items() for name in names]
)
def test_added_name_that_has_a_meaning_is_quoted(key: str, name: str) -> None:
    for text in (name, name.upper()):
        assert with_term(Query(), key, text).terms[0].values == (Value(text, is_quoted=True),)
        assert not with_term(Query(), f"tags[{key or 'x'}]", text).terms[0].values[0].is_quoted


def test_added_term_replaces_those_of_its_key() -> None:
    query = parse("is:unresolved level:error region:eu")

    assert str(with_term(query, "level", "fatal")) == "is:unresolved region:eu level:fatal"
    assert str(with_term(query, "is", "assigned")) == f"{query} is:assigned"
    assert with_term(query, "is", "unresolved") == query
    assert str(with_term(query, "timesSeen", ">100")) == f"{query} timesSeen:>100"


def test_terms_of_a_key_are_taken_out() -> None:
    query = parse("is:unresolved is:assigned timeout")

    assert str(without(query, "is")) == "timeout"
    assert str(without(query, "is", "assigned")) == "is:unresolved timeout"


def test_times_are_spans_or_dates() -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)

    assert span_of("-90m") == timedelta(minutes=90)
    assert span_of("24h") is None
    assert moments_of("2026-11-20") == (noon - timedelta(hours=12), noon + timedelta(hours=12))
    assert moments_of("2026-11-20T13:00+01:00") == (noon, noon + timedelta(seconds=1))
    assert moments_of("noon") is None


def test_every_key_is_read_in_any_case() -> None:
    for key in set(KEYS) - {"is", "level", "timesSeen", "users", "firstSeen", "lastSeen"}:
        assert only(f"{key.upper()}:x").key == key


def test_empty_query_has_no_terms() -> None:
    assert parse(" ") == Query()
    assert not parse("")


def test_longest_query_is_read() -> None:
    assert len(parse("x" * MAX_LENGTH).terms) == 1
