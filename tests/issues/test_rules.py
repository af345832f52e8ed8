"""Rules of the user: a fingerprint of theirs, or an event to ignore; and their text form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.issues.grouping import group
from app.issues.rule_text import RuleTextError, format_rule, parse_rule
from app.issues.rules import FIELDS, Matcher, Rule, apply_rules, matches
from tests.issues.payloads import Payload, at, calls, chain, error, exc, grouped, py, read

EVENT: Payload = {
    **chain(
        exc(type="OSError", value="no route"),
        exc(
            py("shop.web:index"),
            at("/srv/app/vendor/http/pool.py", "connect", module="http.pool", in_app=False),
            type="TimeoutError",
            value="pool of 5 is empty",
        ),
    ),
    "message": "request failed",
    "level": "warning",
    "logger": "shop.db",
    "transaction": "/pay",
    "release": "shop@1.2.3",
    "environment": "production",
    "tags": {"tenant": "Acme"},
}


def ignoring(text: str) -> Rule:
    return parse_rule(text, kind="ignore")


def naming(text: str, id: int = 0) -> Rule:
    return parse_rule(text, kind="fingerprint", id=id)


@pytest.mark.parametrize(
    "text",
    [
        "type:TimeoutError",
        "error.type:timeouterror",
        "type:OSError",
        'message:"*pool*"',
        "message:*failed",
        "value:pool?of*",
        "level:warning level:warn*",
        "logger:shop.*",
        "transaction:/pay",
        "release:shop@1.*",
        "environment:prod*",
        "tags.tenant:acme",
        "path:*/vendor/*",
        "path:/srv/app/vendor/http/pool.py",
        "stack.abs_path:*/pool.py",
        "module:http.*",
        "stack.function:connect",
        "module:http.* function:connect path:*/vendor/*",
        "!type:KeyError",
        "!tags.none:*",
        "!function:nothing",
        "type:Timeout* !environment:staging",
        "module:shop.web !module:secret.*",
    ],
)
def test_rule_matches_what_it_names(text: str) -> None:
    assert matches(ignoring(text), read(EVENT))


@pytest.mark.parametrize(
    "text",
    [
        "type:Timeout",
        "type:KeyError",
        "message:pool",
        "level:error",
        "tags.tenant:acme2",
        "tags.none:*",
        "release:shop@2*",
        "function:index module:http.*",  # both are there, in two frames
        "!path:*/vendor/*",
        "!type:OSError",
        "type:TimeoutError level:fatal",
        "path:*[a-z]*",  # brackets mean themselves
        "logger:shop",
    ],
)
def test_rule_does_not_match_what_only_resembles_it(text: str) -> None:
    assert not matches(ignoring(text), read(EVENT))


def test_relative_path_matches_as_if_a_slash_stood_before_it() -> None:
    event = read(error(at("vendor\\http\\pool.php")))
    assert matches(ignoring("path:*/vendor/*"), event)
    assert matches(ignoring("path:vendor\\http\\*"), event)


def test_frames_of_a_crashed_thread_are_matched_where_no_exception_is() -> None:
    thread = {"crashed": True, "stacktrace": {"frames": [py("shop.pay:run")]}}
    assert matches(ignoring("module:shop.pay"), read({"threads": [thread]}))


def test_rule_without_matchers_matches_nothing() -> None:
    assert not matches(Rule(1, "ignore", "all", []), read(EVENT))


def test_fingerprint_of_a_rule_wins_over_the_clients() -> None:
    rule = naming('type:TimeoutError message:"*pool*" -> timeout-{{ transaction }}, db')
    event = read({**EVENT, "fingerprint": ["mine"]})
    grouping = group(event, [rule])
    assert grouping.key == "fingerprint\n- timeout-/pay\n- db"
    assert grouping.reason == f"rule: {rule.name}"


def test_first_rule_of_a_kind_decides() -> None:
    rules = [
        naming("type:KeyError -> a", 1),
        naming("type:Timeout* -> b", 2),
        naming("level:warning -> c", 3),
        ignoring("level:warning"),
    ]
    outcome = apply_rules(read(EVENT), rules)
    assert outcome.rule is rules[1]
    assert outcome.ignored_by is rules[3]


def test_ignored_event_is_grouped_all_the_same() -> None:
    plain = grouped(EVENT)
    ignored = group(read(EVENT), [parse_rule("level:warning", kind="ignore", name="noise")])
    assert ignored.ignored_by == "noise"
    assert (ignored.key, ignored.reason) == (plain.key, plain.reason)


def test_rule_that_says_default_takes_the_clients_fingerprint_back() -> None:
    event = {**calls("pay"), "fingerprint": ["mine"]}
    grouping = group(read(event), [naming("type:ValueError -> {{ default }}")])
    assert grouping.key == grouped(calls("pay")).key


def test_rules_that_do_not_match_change_nothing() -> None:
    assert group(read(EVENT), [naming("type:KeyError -> x")]) == grouped(EVENT)


def test_rule_text_is_read_into_its_parts() -> None:
    rule = parse_rule(
        '  !error.type:"A \\"b\\" c"  tags.shop-id:7 ->  x{{ type }}y , "two words",z ',
        kind="fingerprint",
        id=3,
        name="mine",
    )
    assert rule == Rule(
        3,
        "fingerprint",
        "mine",
        [Matcher("type", 'A "b" c', None, True), Matcher("tag", "7", "shop-id", False)],
        ["x{{ type }}y", "two words", "z"],
    )


def test_rule_without_a_name_is_called_by_its_text() -> None:
    assert ignoring(" level:debug ").name == "level:debug"


@pytest.mark.parametrize(
    ("kind", "text", "position", "expected"),
    [
        ("ignore", "", 0, "condition"),
        ("ignore", "   ", 3, "condition"),
        ("ignore", "level", 5, "colon"),
        ("ignore", "level:", 6, "pattern"),
        ("ignore", 'level:""', 6, "pattern"),
        ("ignore", "level: debug", 6, "pattern"),
        ("ignore", "colour:red", 0, "field: type"),
        ("ignore", "tag:red", 0, "tags.<name>"),
        ("ignore", "tags.:red", 0, "field"),
        ("ignore", "level:debug nonsense", 12, "a field"),
        ("ignore", "level:debug message", 19, "colon and a pattern after message"),
        ("ignore", ":debug", 0, "field"),
        ("ignore", 'message:"open', 13, 'closing "'),
        ("ignore", "level:debug -> x", 12, "no fingerprint"),
        ("ignore", f"level:{'x' * 201}", 6, "200"),
        ("ignore", "level:x " * 21, 160, "20"),
        ("ignore", "x" * 2001, 2000, "2000"),
        ("fingerprint", "level:debug", 11, "->"),
        ("fingerprint", "-> x", 0, "condition"),
        ("fingerprint", "level:debug ->", 14, "fingerprint such as"),
        ("fingerprint", "level:debug -> ,", 15, "part"),
        ("fingerprint", 'level:debug -> "x', 17, 'closing "'),
        ("fingerprint", 'level:debug -> ""', 15, "part"),
        ("fingerprint", "level:debug -> x -> y", 17, "part"),
    ],
)
def test_wrong_rule_text_says_where_and_what(
    kind: Any, text: str, position: int, expected: str
) -> None:
    with pytest.raises(RuleTextError) as caught:
        parse_rule(text, kind=kind)
    assert caught.value.position == position
    assert expected in caught.value.expected
    assert str(caught.value).startswith(f"at character {position + 1}: expected ")


@given(st.text(alphabet='ab!:."\\->{}, *?tyelvgs\n', max_size=40), st.booleans())
def test_any_text_is_a_rule_or_says_what_is_wrong(text: str, is_fingerprint: bool) -> None:
    try:
        rule = parse_rule(text, kind="fingerprint" if is_fingerprint else "ignore")
    except RuleTextError as error:
        assert 0 <= error.position <= len(text)
    else:
        assert rule.matchers


PATTERNS = st.text(min_size=1, max_size=30).filter(str.strip)


@given(
    st.lists(
        st.builds(
            Matcher,
            field=st.sampled_from([field for field in FIELDS if field != "tag"]),
            pattern=PATTERNS,
            negate=st.booleans(),
        )
        | st.builds(
            Matcher,
            field=st.just("tag"),
            pattern=PATTERNS,
            key=st.from_regex(r"[a-z][a-z0-9_.-]{0,9}", fullmatch=True),
            negate=st.booleans(),
        ),
        min_size=1,
        max_size=4,
    ),
    st.lists(PATTERNS | st.just("timeout-{{ transaction }}"), min_size=1, max_size=3),
)
def test_rule_written_as_text_reads_as_the_same_rule(
    matchers: list[Matcher], parts: list[str]
) -> None:
    for rule in (
        Rule(1, "fingerprint", "n", matchers, parts),
        Rule(2, "ignore", "n", matchers),
    ):
        text = format_rule(rule)
        assert parse_rule(text, kind=rule.kind, id=rule.id, name="n") == rule


@given(st.text(max_size=20), st.text(max_size=20))
def test_pattern_of_stars_around_a_text_finds_it(text: str, around: str) -> None:
    literal = text.replace("*", "?")
    assert Matcher("message", f"*{literal}*").matches(f"{around}{text}{around}".lower())


def test_many_stars_cost_no_more_than_the_text_is_long() -> None:
    assert not Matcher("message", "*a" * 99 + "b").matches("a" * 2000)


def test_pattern_that_is_too_long_is_refused_rather_than_cut() -> None:
    with pytest.raises(ValueError, match="200"):
        Matcher("message", "x" * 201)
