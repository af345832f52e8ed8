"""The language of filters: what each operator finds, and what is refused by its path."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from app.memory.filters import MAX_CONDITIONS, MAX_DEPTH, parse

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
METADATA = {
    "team": "shop",
    "n": 3,
    "half": 0.5,
    "on": True,
    "off": False,
    "none": None,
    "list": ["a", 1, True, None],
    "in": {"depth": {"x": "deep"}, "a.b": "dotted"},
}
MEMORY = SimpleNamespace(
    kind="fact",
    tags=["red", "blue"],
    agent_id="bot",
    run_id=None,
    created_at=NOON,
    updated_at=NOON + timedelta(hours=1),
    expires_at=None,
    metadata=METADATA,
)


def holds(field: object, operator: str, value: object) -> bool:
    return bool(parse({"field": field, operator: value}).matches(MEMORY))


TRUE: list[tuple[Any, str, Any]] = [
    ("metadata.team", "eq", "shop"),
    ("metadata.team", "in", ["pay", "shop"]),
    ("metadata.team", "contains", "ho"),
    ("metadata.team", "gt", "pay"),
    ("metadata.team", "ne", "Shop"),
    ("metadata.n", "eq", 3.0),
    ("metadata.n", "ne", "3"),
    ("metadata.n", "gt", 2.5),
    ("metadata.n", "lt", 4),
    ("metadata.n", "in", [None, 3]),
    ("metadata.half", "lt", 1),
    ("metadata.on", "eq", True),
    ("metadata.on", "ne", 1),
    ("metadata.off", "ne", 0),
    ("metadata.none", "eq", None),
    ("metadata.missing", "eq", None),
    ("metadata.missing", "ne", "x"),
    ("metadata.missing", "in", ["x", None]),
    ("metadata.list", "contains", "a"),
    ("metadata.list", "contains", 1.0),
    ("metadata.list", "contains", True),
    ("metadata.list", "ne", "a"),
    ("metadata.in.depth.x", "eq", "deep"),
    (["metadata", "in", "a.b"], "eq", "dotted"),
    ("kind", "eq", "fact"),
    ("kind", "contains", "ac"),
    ("tags", "contains", "red"),
    ("agent_id", "in", ["bot"]),
    ("run_id", "eq", None),
    ("created_at", "eq", "2030-01-31T13:00:00+01:00"),
    ("created_at", "lt", "2030-01-31T12:00:00.001Z"),
    ("updated_at", "gt", "2030-01-31T12:00:00Z"),
    ("expires_at", "eq", None),
    ("expires_at", "ne", "2030-01-31T12:00:00Z"),
]
FALSE: list[tuple[Any, str, Any]] = [
    ("metadata.n", "eq", "3"),
    ("metadata.n", "eq", True),
    ("metadata.n", "gt", 3),
    ("metadata.n", "gt", "2"),
    ("metadata.n", "contains", 3),
    ("metadata.on", "eq", 1),
    ("metadata.on", "gt", 0),
    ("metadata.off", "eq", 0),
    ("metadata.none", "ne", None),
    ("metadata.missing", "gt", 0),
    ("metadata.missing", "lt", "z"),
    ("metadata.missing", "contains", "x"),
    ("metadata.list", "eq", "a"),
    ("metadata.list", "contains", 2),
    ("metadata.list.0", "eq", "a"),
    ("metadata.team.x", "ne", None),
    ("metadata.in", "eq", "deep"),
    ("metadata.in.a.b", "eq", "dotted"),
    ("tags", "contains", "re"),
    ("kind", "gt", "fact"),
    ("expires_at", "gt", "2030-01-31T12:00:00Z"),
    ("run_id", "contains", "x"),
]


@pytest.mark.parametrize(("field", "operator", "value"), TRUE)
def test_memory_fulfils_a_condition(field: Any, operator: str, value: Any) -> None:
    assert holds(field, operator, value)


@pytest.mark.parametrize(("field", "operator", "value"), FALSE)
def test_memory_does_not_fulfil_a_condition(field: Any, operator: str, value: Any) -> None:
    assert not holds(field, operator, value)


def test_conditions_are_joined_and_inverted() -> None:
    yes, no = {"field": "metadata.n", "gt": 1, "lt": 5}, {"field": "kind", "eq": "task"}
    for given, expected in [
        (yes, True),
        ({"field": "metadata.n", "gt": 1, "lt": 3}, False),
        ({"and": [yes, no]}, False),
        ({"or": [no, yes]}, True),
        ({"or": [no, no, no]}, False),
        ({"not": no}, True),
        ({"and": [yes, yes, {"not": {"or": [no, {"not": yes}]}}]}, True),
    ]:
        assert bool(parse(given).matches(MEMORY)) is expected, given
        assert bool(parse(json.dumps(given)).matches(MEMORY)) is expected, given


ONE = {"field": "kind", "eq": "a"}
DEEP: Any = ONE
for _ in range(MAX_DEPTH):
    DEEP = {"not": DEEP}
WRONG: list[tuple[Any, tuple[Any, ...]]] = [
    ([], ()),
    ("{", ()),
    ("[" * 10_000, ()),
    ('"x"', ()),
    ({}, ()),
    ({"and": [ONE], "or": [ONE]}, ()),
    ({"nor": [ONE]}, ()),
    ({"and": []}, ("and",)),
    ({"or": {"field": "kind", "eq": "a"}}, ("or",)),
    ({"not": [ONE]}, ("not",)),
    ({"and": [ONE, 7]}, ("and", 1)),
    ({"and": [ONE, {"or": [{"field": "kind", "eq": 7}]}]}, ("and", 1, "or", 0, "eq")),
    (DEEP, ("not",) * MAX_DEPTH),
    ({"or": [ONE] * (MAX_CONDITIONS + 1)}, ("or", MAX_CONDITIONS)),
    ({"field": "kind"}, ()),
    ({"field": "kind", "like": "a"}, ()),
    ({"field": "content", "eq": "a"}, ("field",)),
    ({"field": "user_id", "eq": "bob"}, ("field",)),
    ({"field": "metadata", "eq": "a"}, ("field",)),
    ({"field": "", "eq": "a"}, ("field",)),
    ({"field": 7, "eq": "a"}, ("field",)),
    ({"field": ["metadata", 7], "eq": "a"}, ("field",)),
    ({"field": "metadata" + ".a" * 40, "eq": "a"}, ("field",)),
    ({"field": "metadata.a", "eq": ["a"]}, ("eq",)),
    ({"field": "metadata.a", "eq": {}}, ("eq",)),
    ({"field": "metadata.a", "eq": float("nan")}, ("eq",)),
    ({"field": "metadata.a", "eq": "x" * 1001}, ("eq",)),
    ({"field": "metadata.a", "eq": "\ud800"}, ("eq",)),
    ({"field": "metadata.a", "gt": None}, ("gt",)),
    ({"field": "metadata.a", "gt": True}, ("gt",)),
    ({"field": "metadata.a", "in": "a"}, ("in",)),
    ({"field": "metadata.a", "in": []}, ("in",)),
    ({"field": "metadata.a", "in": ["a"] * 101}, ("in",)),
    ({"field": "metadata.a", "in": ["a", []]}, ("in", 1)),
    ({"field": "metadata.a", "contains": None}, ("contains",)),
    ({"field": "tags", "eq": "red"}, ("eq",)),
    ({"field": "tags", "contains": 7}, ("contains",)),
    ({"field": "created_at", "gt": "yesterday"}, ("gt",)),
    ({"field": "created_at", "gt": "2030-01-31T12:00:00"}, ("gt",)),
    ({"field": "created_at", "gt": "0001-01-01T00:00:00+14:00"}, ("gt",)),
    ({"field": "created_at", "gt": 1800000000}, ("gt",)),
    ({"field": "created_at", "contains": "2030-01-31T12:00:00Z"}, ("contains",)),
]


@pytest.mark.parametrize(("given", "path"), WRONG)
def test_wrong_part_of_a_filter_is_named(given: Any, path: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        parse(given)
    [error] = refused.value.errors()
    assert error["loc"] == path and "expected" in error["msg"]
