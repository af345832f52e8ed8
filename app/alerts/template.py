"""Templates of JSON bodies: a JSON document whose strings hold placeholders, and nothing more.

    {"text": "{{title:200}} in {{project}}", "count": "{{events}}"}

parse()  the document of a text, if its placeholders are known
fill()   the bytes of a body

``{{name}}`` stands for a value, ``{{name:200}}`` for its first 200 characters. A string that is one
placeholder becomes the value itself: a number stays a number. The document is parsed before it is
filled, so no value can end a string. There are no loops, conditions or expressions, and the size of
a body is bounded.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NoReturn

MAX_TEMPLATE = 10_000
MAX_DEPTH = 20
MAX_PLACEHOLDERS = 100
MAX_BODY_BYTES = 128 * 1024

_PLACEHOLDER = re.compile(r"\{\{([^{}]{0,60})\}\}")
_INSIDE = re.compile(r"([A-Za-z0-9_]{1,40})(?::([1-9][0-9]{0,4}))?")

Escape = Callable[[str, str], str]


class TemplateError(ValueError):
    """A template cannot be used. The message says why, for the person who wrote it."""


def parse(text: str, known: Collection[str]) -> dict[str, Any]:
    """Return the document of a template.

    :param known: the names of placeholders.
    :raise TemplateError: it is no JSON object, or a placeholder is not known.
    """
    if len(text) > MAX_TEMPLATE:
        raise TemplateError(f"at most {MAX_TEMPLATE:,} characters are expected")
    try:
        document = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise TemplateError(f"JSON is expected: {error.msg} at {where}") from None
    except (ValueError, RecursionError):
        raise TemplateError("JSON is expected") from None
    if not isinstance(document, dict):
        raise TemplateError("a JSON object is expected, from { to }")
    _check(document, known)
    return document


def names_in(document: Any) -> set[str]:
    """Return the names of all placeholders of a document."""
    return {name for text, _ in _strings(document) for name, _ in _placeholders(text)}


def fill(document: Mapping[str, Any], values: Mapping[str, Any], escape: Escape) -> bytes:
    """Return a body: the document with values in place of its placeholders, as JSON.

    :param values: by name; anything that JSON can hold.
    :param escape: gets a name and a text, and returns the text in a form that the receiver shows
        unchanged.
    :raise TemplateError: the body is larger than :data:`MAX_BODY_BYTES`.
    """
    filled = _filled(document, values, escape)
    body = json.dumps(filled, ensure_ascii=False, indent=2).encode("utf-8", "replace")
    if len(body) > MAX_BODY_BYTES:
        raise TemplateError(f"a body of {len(body):,} bytes; at most {MAX_BODY_BYTES:,} are sent")
    return body


# ---- check --------------------------------------------------------------------------------------


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    # Python reads 1e999 as infinity, and writes that as a word that is no JSON.
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _check(document: Any, known: Collection[str]) -> None:
    count = 0
    for text, is_key in _strings(document):
        if is_key and "{{" in text:
            raise TemplateError("a placeholder stands in a value, not in a name")
        for name, _ in _placeholders(text):
            count += 1
            if name not in known:
                raise TemplateError(f"{{{{{name}}}}} is unknown; known are {', '.join(known)}")
        rest = _PLACEHOLDER.sub("", text)
        if "{{" in rest or "}}" in rest:
            raise TemplateError("{{ and }} stand around a name, such as {{title}}")
    if count > MAX_PLACEHOLDERS:
        raise TemplateError(f"at most {MAX_PLACEHOLDERS} placeholders are expected")


def _strings(value: Any, depth: int = 0) -> Iterator[tuple[str, bool]]:
    """Yield all strings of a document, and whether each is a name of a member."""
    if depth > MAX_DEPTH:
        raise TemplateError(f"at most {MAX_DEPTH} levels are expected")
    if isinstance(value, str):
        yield value, False
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name, True
            yield from _strings(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member, depth + 1)


def _placeholders(text: str) -> Iterator[tuple[str, int | None]]:
    """Yield the name of each placeholder, and after how many characters its value is cut."""
    for found in _PLACEHOLDER.finditer(text):
        yield _name_and_limit(found[1])


def _name_and_limit(inside: str) -> tuple[str, int | None]:
    found = _INSIDE.fullmatch(inside.strip())
    if found is None:
        shown = f"{{{{{inside.strip()}}}}}"
        raise TemplateError(f"{shown} is no placeholder; {{{{title}}}} or {{{{title:200}}}} is one")
    return found[1], int(found[2]) if found[2] else None


# ---- fill ---------------------------------------------------------------------------------------


def _filled(value: Any, values: Mapping[str, Any], escape: Escape) -> Any:
    if isinstance(value, dict):
        return {name: _filled(member, values, escape) for name, member in value.items()}
    if isinstance(value, list):
        return [_filled(member, values, escape) for member in value]
    if not isinstance(value, str):
        return value
    only = _PLACEHOLDER.fullmatch(value)
    if only:
        name, limit = _name_and_limit(only[1])
        is_text = isinstance(values[name], str)
        return _text(name, values[name], limit, escape) if is_text else values[name]

    def text_of(found: re.Match[str]) -> str:
        name, limit = _name_and_limit(found[1])
        return _text(name, values[name], limit, escape)

    return _PLACEHOLDER.sub(text_of, value)


def _text(name: str, value: Any, limit: int | None, escape: Escape) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    escaped = escape(name, text)
    if limit is None or len(escaped) <= limit:
        return escaped
    # The text is cut, not the escaped text: a cut escape would act on what follows it.
    while text and len(escaped) >= limit:
        text = text[: -max(1, (len(escaped) - limit) // 4)]
        escaped = escape(name, text)
    return f"{escaped}…"
