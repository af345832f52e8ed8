"""The language of filters: conditions on the fields of a memory, joined by and, or and not.

    {"and": [
        {"field": "metadata.team", "eq": "shop"},
        {"not": {"field": "tags", "contains": "old"}}
    ]}

``parse`` checks a filter and makes one function of it, which decides for a row or an entry of the
catalog. Lists and both kinds of search use this function, so a filter has one meaning everywhere.

A field that is missing has the value null. Values of different types are never equal: neither ``1``
and ``"1"`` nor ``1`` and ``true``; ``1`` and ``1.0`` are the same number. ``ne`` is the opposite of
``eq`` and ``not`` the opposite of a filter, so both also find memories without the field.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple, NoReturn

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

MAX_CONDITIONS = 50
MAX_DEPTH = 8
MAX_VALUES = 100
MAX_TEXT = 1000
MAX_JSON = 20_000
OPERATORS = ("eq", "ne", "gt", "lt", "in", "contains")
TEXTS = ("kind", "agent_id", "run_id")
TIMES = ("created_at", "updated_at", "expires_at")

_TIME: TypeAdapter[datetime] = TypeAdapter(datetime, config=ConfigDict(defer_build=True))
# JSON has no other types of numbers; a bool is none.
_NUMBERS = frozenset((int, float))
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

Test = Callable[[Any], Any]
Path = tuple[str | int, ...]


class Conditions(NamedTuple):
    """A filter that was checked.

    :param matches: returns whether a memory fulfils it; called with a row of ``memories`` or any
        other object that has its fields.
    :param needs_metadata: whether it looks at metadata.
    """

    matches: Test
    needs_metadata: bool


class _Wrong(Exception):
    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class _Field(NamedTuple):
    """A field: how to read it, and ``text``, ``time``, ``tags`` or ``any`` JSON."""

    read: Callable[[Any], Any]
    type: str


def parse(given: object) -> Conditions:
    """Return the conditions of a filter.

    :param given: an object, or its JSON as the query string of a list has it; or conditions, which
        are returned.
    :raise pydantic.ValidationError: it is not a filter. The location is the path of the wrong part.
    """
    if isinstance(given, Conditions):
        return given
    parser = _Parser()
    try:
        return Conditions(parser.filter(_loaded(given), (), 1), parser.needs_metadata)
    except _Wrong as error:
        problem = PydanticCustomError("filter", "{message}", {"message": str(error)})
        details = InitErrorDetails(type=problem, loc=error.path, input=None)
        raise ValidationError.from_exception_data("filters", [details]) from None


class _Parser:
    def __init__(self) -> None:
        self.conditions = 0
        self.needs_metadata = False

    def filter(self, given: object, path: Path, depth: int) -> Test:
        if not isinstance(given, dict):
            _wrong(path, "an object is expected")
        if depth > MAX_DEPTH:
            _wrong(path, f"at most {MAX_DEPTH} levels are expected")
        if "field" in given:
            return self._condition(given, path)
        if len(given) != 1 or not (given.keys() <= {"and", "or", "not"}):
            _wrong(path, "a field and an operator, or one of and, or, not is expected")
        [(name, inner)] = given.items()
        if name == "not":
            opposite = self.filter(inner, (*path, "not"), depth + 1)
            return lambda memory: not opposite(memory)
        if not isinstance(inner, list) or not inner:
            _wrong((*path, name), "a list of filters is expected")
        tests = []
        for number, one in enumerate(inner):
            tests.append(self.filter(one, (*path, name, number), depth + 1))
        return _all(tests) if name == "and" else _any(tests)

    def _condition(self, given: dict[str, Any], path: Path) -> Test:
        field = self._field(given["field"], (*path, "field"))
        names = [name for name in given if name != "field"]
        if not names:
            _wrong(path, f"one of {', '.join(OPERATORS)} is expected")
        tests = []
        for name in names:
            if name not in OPERATORS:
                _wrong(path, f"one of {', '.join(OPERATORS)} is expected beside the field")
            self.conditions += 1
            if self.conditions > MAX_CONDITIONS:
                _wrong(path, f"at most {MAX_CONDITIONS} conditions are expected")
            tests.append(_test(field, name, given[name], (*path, name)))
        return _all(tests)

    def _field(self, given: object, path: Path) -> _Field:
        names = given.split(".") if isinstance(given, str) else given
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            _wrong(path, "a name, such as metadata.team, is expected")
        if names[:1] == ["metadata"] and 1 < len(names) <= MAX_DEPTH + 2:
            self.needs_metadata = True
            if any(len(name) > MAX_TEXT for name in names):
                _wrong(path, f"names of at most {MAX_TEXT} characters are expected")
            return _Field(_metadata_reader(names[1:]), "any")
        [name] = names if len(names) == 1 else [""]
        for type, known in (("text", TEXTS), ("time", TIMES), ("tags", ("tags",))):
            if name in known:
                return _Field(_column_reader(name), type)
        _wrong(path, f"{', '.join((*TEXTS, 'tags', *TIMES))} or metadata.… is expected")


def _test(field: _Field, operator: str, given: object, path: Path) -> Test:
    if field.type == "tags" and operator != "contains":
        _wrong(path, "tags are a list: contains is expected")
    if operator == "in":
        if not isinstance(given, list) or not 0 < len(given) <= MAX_VALUES:
            _wrong(path, f"a list of 1 to {MAX_VALUES} values is expected")
        values = [_value(field, one, (*path, number)) for number, one in enumerate(given)]
        return _any([_equals(field.read, value) for value in values])
    value = _value(field, given, path)
    if operator == "eq":
        return _equals(field.read, value)
    if operator == "ne":
        equals = _equals(field.read, value)
        return lambda memory: not equals(memory)
    if value is None:
        _wrong(path, f"a value other than null is expected: {operator} compares")
    if operator == "contains":
        if field.type == "time":
            _wrong(path, "a time contains nothing: eq, ne, gt, lt or in is expected")
        return _contains(field.read, value)
    if isinstance(value, bool):
        _wrong(path, "a number or a text is expected")
    return _compares(field.read, value, operator == "gt")


def _value(field: _Field, given: object, path: Path) -> Any:
    if given is None:
        return None
    if field.type == "time":
        return _time(given, path)
    if field.type != "any" and not isinstance(given, str):
        _wrong(path, "a text is expected")
    if isinstance(given, str):
        if len(given) > MAX_TEXT or _UNSTORABLE.search(given):
            _wrong(path, f"at most {MAX_TEXT} characters without NUL are expected")
    elif not isinstance(given, bool | int | float):
        _wrong(path, "a text, a number, true, false or null is expected")
    elif isinstance(given, float) and not math.isfinite(given):
        _wrong(path, "a finite number is expected")
    return given


def _time(given: object, path: Path) -> datetime:
    try:
        if isinstance(given, str) and "-" in given[1:]:
            moment = _TIME.validate_strings(given[:100])
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    _wrong(path, "a time with an offset is expected, such as 2030-01-31T12:00:00Z")


# ---- what an operator means ---------------------------------------------------------------------


def _equals(read: Callable[[Any], Any], wanted: Any) -> Test:
    if wanted is None or isinstance(wanted, bool):
        return lambda memory: read(memory) is wanted
    if isinstance(wanted, int | float):
        return lambda memory: type(value := read(memory)) in _NUMBERS and value == wanted
    return lambda memory: read(memory) == wanted


def _compares(read: Callable[[Any], Any], bound: Any, is_above: bool) -> Test:
    types = _NUMBERS if type(bound) in _NUMBERS else frozenset((type(bound),))
    if is_above:
        return lambda memory: type(value := read(memory)) in types and value > bound
    return lambda memory: type(value := read(memory)) in types and value < bound


def _contains(read: Callable[[Any], Any], wanted: Any) -> Test:
    is_wanted = _equals(lambda member: member, wanted)

    def test(memory: Any) -> bool:
        value = read(memory)
        if isinstance(value, str):
            return isinstance(wanted, str) and wanted in value
        return isinstance(value, list | tuple) and any(map(is_wanted, value))

    return test


def _all(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(memory: Any) -> bool:
        # Half as slow as all(): a filter may look at 50,000 memories.
        for one in tests:  # noqa: SIM110
            if not one(memory):
                return False
        return True

    return test


def _any(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(memory: Any) -> bool:
        for one in tests:  # noqa: SIM110
            if one(memory):
                return True
        return False

    return test


def _column_reader(name: str) -> Callable[[Any], Any]:
    return attrgetter(name)


def _metadata_reader(names: Sequence[str]) -> Callable[[Any], Any]:
    if len(names) == 1:
        [name] = names
        return lambda memory: memory.metadata.get(name)

    def read(memory: Any) -> Any:
        value = memory.metadata
        for name in names:
            if type(value) is not dict:
                return None
            value = value.get(name)
        return value

    return read


def _loaded(given: object) -> object:
    if not isinstance(given, str):
        return given
    if len(given) > MAX_JSON:
        _wrong((), f"at most {MAX_JSON} characters of JSON are expected")
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        _wrong((), "JSON is expected")


def _wrong(path: Path, message: str) -> NoReturn:
    raise _Wrong(path, message)
