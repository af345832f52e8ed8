"""Search for inputs whose cost grows faster than their length; inputs are made from each pattern.

discover the patterns of a package ── make units of each ── repeat a unit ── run 500 characters
    ── if slow: run 2,000 characters; if the cost grew faster than the length: measure n and 4 n

"""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import random
import re
import re._constants as ops  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import string
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from markupsafe import escape

from app.admin.highlight import colour
from app.admin.languages import LANGUAGES, find_language
from app.issues.grouping import group
from app.issues.parametrize import parametrize
from app.issues.rule_text import parse_rule
from app.issues.similarity import terms_of
from app.protocol.client_auth import AuthError, DsnError, read_credentials, read_dsn
from app.protocol.event import read_event
from app.protocol.scrub import Scrubber
from app.protocol.scrubbing.patterns import check_pattern

# Above this factor between n and 4 n characters the cost is no longer linear: 4 is, 16 is n².
MAX_FACTOR = 6.0
# Shorter times are too small to measure.
MIN_SLOW_S = 0.02
# A measurement that takes longer than this is not repeated.
HOPELESS_S = 2.0
# The first measurement is of short texts. An input of cost n² that is slow at full size takes
# longer than FIRST_SLOW_S at FIRST_SIZE, and grows by more than EARLY_FACTOR at four times that
# size.
FIRST_SIZE = 500
FIRST_SLOW_S = 0.0001
EARLY_FACTOR = 4.8
EVERY = 10**9
SEED = 20261127

# Texts that are often slow for patterns and walks of this kind.
DANGEROUS = (
    "=", ":", ">", "<", "'", '"', "`", "\\", "\\\\", "\\n", " ", "\t", "\n", "\r\n", "\x00", "%",
    "%2", "%22", "%5B", "--", "---", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----END",
    "://", "://a:b", "http://a@", "a:b@", "@", ".", "..", "/", "//", "{", "}", "{{", "}}", "[",
    "]", "(", ")", "[(", "({[<", "token", "token=", "token=(", 'token="', "token='", 'token=\\"',
    "token: ", "token: str ", "--token ", "--token=", "('token', ", "<token>", "token=a,b",
    "a=b;", "Cookie: a", "Cookie: a\n", "Bearer ", "Basic a", "eyJ", "eyJabcdef.", "ghp_", "sk-",
    "AKIA0123", "4111 ", "4111111111111111", "0", "0x", "a", "aA", "Aa0", "a_", "a-", "-a", "a.",
    ".a", "a::", "::", "->", "$", "$$", "?", "*", "*a", "?*", "#", "é", "٠", "\ud800", "😀",
    "<locals>.", "f.<locals>.", "lambda", "Object.", "at a (b:1:1)\n",
    '  File "a", line 1, in b\n', "goroutine 1", "<int> ", "<uuid>, ", "a\\b\\", "C:\\", "../",
    "/node_modules/", "site-packages/", "a/b-1.2.3/", "{{ default }}", "{{ ", "sentry ",
    "sentry_key=", "sentry_key=a,", "%s", "%(a)s", "{a}", "{a!r", "a, ", "a; ", "((", "<<", ">>",
    "=>", "!=", "==", "[0]", "a[0]", "%22a", "key: ", "Token Token ", "x=\\", "\\x", "password",
)  # fmt: skip


class Input(NamedTuple):
    """A function to measure: ``run`` takes a text made of one of the ``units``."""

    name: str
    run: Callable[[str], object]
    units: tuple[str, ...]


class Slow(NamedTuple):
    """An input whose cost grows faster than its length; times are seconds of CPU."""

    name: str
    unit: str
    once: float
    four_times: float


# ---- units --------------------------------------------------------------------------------------


def units_of(
    pattern: str, flags: int = 0, *, triples: int = 2000, pairs: int = EVERY, words: bool = True
) -> list[str]:
    """Return the texts to repeat for a pattern; the result is the same each time.

    :param triples: how many random texts of three letters are drawn.
    :param pairs: how many pairs of letters to add; if there are more, random ones.
    :param words: whether to add the texts of ``DANGEROUS``.
    """
    letters = list(dict.fromkeys(letters_of(pattern, flags)))
    units = list(letters)
    drawn = random.Random(SEED)  # noqa: S311 -- reproducible on purpose
    both = ["".join(two) for two in itertools.product(letters, repeat=2)]
    units += both if len(both) <= pairs else drawn.sample(both, pairs)
    units += ["".join(drawn.choices(letters, k=3)) for _ in range(triples)]
    return list(dict.fromkeys([*units, *(DANGEROUS if words else ())]))


def letters_of(pattern: str, flags: int = 0) -> Iterator[str]:
    """Yield a member and a non-member of each class of a pattern, its literals and its words."""
    yield from _letters(parser.parse(pattern, flags))
    yield from ("a", "!")


def _letters(tree: Any) -> Iterator[str]:
    word = ""
    for op, value in tree:
        if op is ops.LITERAL:
            word += chr(value)
            yield chr(value)
            continue
        if len(word) > 1:
            yield word
        word = ""
        yield from _of_part(op, value)
    if len(word) > 1:
        yield word


def _of_part(op: Any, value: Any) -> Iterator[str]:
    if op is ops.NOT_LITERAL:
        yield from (chr(value), _other_than(lambda char: char == chr(value)))
    elif op is ops.IN:
        yield from _of_class(value)
    elif op is ops.BRANCH:
        for branch in value[1]:
            yield from _letters(branch)
    elif isinstance(value, parser.SubPattern):
        yield from _letters(value)
    elif isinstance(value, tuple):
        for part in value:
            if isinstance(part, parser.SubPattern):
                yield from _letters(part)


# A space and a digit come early: most classes contain them or leave them out.
_CANDIDATES = "a0 A-_.\n" + string.punctuation + string.ascii_letters + string.digits + "é\u00a0\t"


def _of_class(members: Any) -> Iterator[str]:
    compiled = re.compile(_class_text(members), re.S)
    inside = next((char for char in _CANDIDATES if compiled.match(char)), None)
    outside = next((char for char in _CANDIDATES if not compiled.match(char)), None)
    yield from (char for char in (inside, outside) if char is not None)


_CATEGORIES = {
    ops.CATEGORY_DIGIT: r"\d", ops.CATEGORY_NOT_DIGIT: r"\D", ops.CATEGORY_SPACE: r"\s",
    ops.CATEGORY_NOT_SPACE: r"\S", ops.CATEGORY_WORD: r"\w", ops.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip


def _class_text(members: Any) -> str:
    text = ""
    for op, value in members:
        if op is ops.NEGATE:
            text += "^"
        elif op is ops.LITERAL:
            text += re.escape(chr(value))
        elif op is ops.RANGE:
            text += f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        else:
            text += _CATEGORIES[value]
    return f"[{text}]"


def _other_than(is_it: Callable[[str], bool]) -> str:
    return next(char for char in _CANDIDATES if not is_it(char))


# ---- patterns -----------------------------------------------------------------------------------


def patterns_in(*packages: str) -> dict[str, re.Pattern[Any]]:
    """Return every compiled expression in the modules of these packages, by its place.

    The search covers names of modules and classes, and the members of their values: tuples, lists,
    sets, dicts, partial calls, and the closure variables of functions.
    """
    found: dict[int, tuple[str, re.Pattern[Any]]] = {}
    for package in packages:
        for module in _modules(package):
            for name, value in vars(module).items():
                for place, pattern in _held(f"{module.__name__}.{name}", value, depth=4):
                    found.setdefault(id(pattern), (place, pattern))
    return dict(found.values())


def _modules(package: str) -> Iterator[ModuleType]:
    root = importlib.import_module(package)
    yield root
    for module in pkgutil.walk_packages(getattr(root, "__path__", []), f"{package}."):
        yield importlib.import_module(module.name)


def _held(place: str, value: Any, depth: int) -> Iterator[tuple[str, re.Pattern[Any]]]:
    if isinstance(value, re.Pattern):
        yield place, value
    elif depth:
        for name, member in _members(value):
            yield from _held(f"{place}[{name}]", member, depth - 1)


def _members(value: Any) -> Iterable[tuple[object, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (tuple, list, set, frozenset)):
        return list(enumerate(value))
    if isinstance(value, partial):
        return [("func", value.func), *enumerate(value.args), *value.keywords.items()]
    if isinstance(value, type) and value.__module__.startswith("app."):
        return list(vars(value).items())
    cells = getattr(value, "__closure__", None) or ()
    return [(number, cell.cell_contents) for number, cell in enumerate(cells)]


def as_inputs(
    patterns: dict[str, re.Pattern[Any]],
    *,
    triples: int = 2000,
    pairs: int = EVERY,
    words: bool = True,
) -> Iterator[Input]:
    """Yield each pattern as an input, with the units made from it."""
    for place, pattern in patterns.items():
        text = pattern.pattern
        source = text.decode("latin-1") if isinstance(text, bytes) else text
        flags = pattern.flags & ~re.UNICODE if isinstance(text, bytes) else pattern.flags
        units = tuple(units_of(source, flags, triples=triples, pairs=pairs, words=words))
        yield Input(place, partial(ask, pattern, ways=ways_of(place)), units)


# The variable that goes through a tuple of patterns.
_CALLED = {"app.issues.tracebacks._FORMS": "form", "app.issues.tracebacks._GO": "form"}
WAYS = frozenset({"search", "match", "fullmatch"})


def ways_of(place: str) -> frozenset[str]:
    """Return the methods by which the module of a pattern uses it: search, match or fullmatch.

    If the source does not show it, as for a pattern in a tuple, return all of them.
    """
    module, _, name = place.partition("[")[0].rpartition(".")
    source = inspect.getsource(importlib.import_module(module)) if module else ""
    name = _CALLED.get(f"{module}.{name}", name)
    asked = set(re.findall(rf"(?<!\w){re.escape(name)}\.(\w+)\(", source))
    if not asked:
        return WAYS
    return frozenset(way if way in ("match", "fullmatch") else "search" for way in asked)


def ask(pattern: re.Pattern[Any], text: str, *, ways: frozenset[str] = WAYS) -> None:
    """Apply a pattern to a text with these methods."""
    subject = text.encode("utf-8", "replace") if isinstance(pattern.pattern, bytes) else text
    if "search" in ways:
        for _ in pattern.finditer(subject):
            pass
    if "match" in ways:
        pattern.match(subject)
    if "fullmatch" in ways:
        pattern.fullmatch(subject)


# ---- the stopwatch ------------------------------------------------------------------------------


def slow_inputs(inputs: Iterable[Input], size: int) -> Iterator[Slow]:
    """Yield the inputs whose cost grows faster than their length.

    :param size: length of the longer of the two texts, in characters.
    """
    for each in inputs:
        for unit in each.units:
            if _is_suspicious(each, unit) and (slow := _grows(each, unit, size)):
                yield slow


def _is_suspicious(each: Input, unit: str) -> bool:
    """Measure short texts first; measure again if the first measurement may have been disturbed."""
    short, longer = _repeated(unit, FIRST_SIZE), _repeated(unit, 4 * FIRST_SIZE)
    once = _cpu(each.run, short)
    if once < FIRST_SLOW_S or once > HOPELESS_S:
        return once > HOPELESS_S
    four_times = _cpu(each.run, longer)
    if four_times < EARLY_FACTOR * once:
        once = min(once, _cpu(each.run, short))
    return four_times > EARLY_FACTOR * once


def _grows(each: Input, unit: str, size: int) -> Slow | None:
    """Measure twice: another process may have displaced the caches during the first time."""
    return _measured(each, unit, size) and _measured(each, unit, size)


def _measured(each: Input, unit: str, size: int) -> Slow | None:
    four_times = _best_of_three(each.run, _repeated(unit, size))
    if four_times <= MIN_SLOW_S:
        return None
    once = _best_of_three(each.run, _repeated(unit, size // 4))
    is_slow = four_times > MAX_FACTOR * once
    return Slow(each.name, unit, once, four_times) if is_slow else None


def _repeated(unit: str, size: int) -> str:
    return unit * (size // len(unit))


def _cpu(run: Callable[[str], object], text: str) -> float:
    start = time.thread_time()
    run(text)
    return time.thread_time() - start


def _best_of_three(run: Callable[[str], object], text: str) -> float:
    best = _cpu(run, text)
    for _ in range(2):
        if best > HOPELESS_S:
            break
        best = min(best, _cpu(run, text))
    return best


# ---- walks --------------------------------------------------------------------------------------


def walks() -> list[Input]:
    """Return all functions that read a client's text, with the texts of ``DANGEROUS`` as units."""
    coloured = {f"colours of {name}": _coloured(name) for name in LANGUAGES}
    return [Input(name, run, DANGEROUS) for name, run in (_WALKS | coloured).items()]


def _coloured(language: str) -> Callable[[str], object]:
    return lambda text: colour(str(escape(text)), find_language(language))


def _scrubbed(shape: Callable[[str], Any]) -> Callable[[str], object]:
    # Each call makes a new scrubber: its cache would hide the cost of a text.
    return lambda text: Scrubber().scrub(shape(text))


def _grouped(**fields: Callable[[str], Any]) -> Callable[[str], object]:
    def run(text: str) -> object:
        payload = {name: make(text) for name, make in fields.items()}
        event = read_event(payload, event_id="a" * 32, received_at=RECEIVED_AT)
        return group(event, _RULES), terms_of(event)

    return run


def _one_exception(text: str) -> dict[str, Any]:
    frame = {"function": text, "filename": text, "abs_path": text, "module": text, "in_app": True}
    stack = {"frames": [{**frame, "context_line": text, "lineno": 1}]}
    return {"values": [{"type": text, "value": text, "stacktrace": stack}]}


RECEIVED_AT = datetime(2026, 11, 27, tzinfo=UTC)
_RULES = [
    parse_rule('message:"*a*b*?c*"', kind="ignore"),
    parse_rule('path:"*/*?/*a*" function:*x* -> shop, {{ function }}', kind="fingerprint"),
]
_WALKS: dict[str, Callable[[str], object]] = {
    "message": _scrubbed(lambda text: {"message": text}),
    "message after a secret name": _scrubbed(lambda text: {"message": f"token={text}"}),
    "source line": _scrubbed(lambda text: {"context_line": text}),
    "header": _scrubbed(lambda text: {"headers": [["X-Note", text], ["Cookie", text]]}),
    "key": _scrubbed(lambda text: {text: text, "password": text}),
    "many keys": _scrubbed(lambda text: {f"{text[:24]}{n}": 1 for n in range(len(text) // 24)}),
    "many strings": _scrubbed(lambda text: re.findall(r"(?s).{1,24}", text)),
    "log": lambda text: Scrubber().scrub_text(text),
    "own patterns": lambda text: Scrubber(["a_b"], [r"a[^b]{0,64}c"]).scrub({"message": text}),
    "grouping of a message": _grouped(message=str, fingerprint=lambda text: [text]),
    "grouping of an exception": _grouped(exception=_one_exception, transaction=str),
    "parametrize": lambda text: parametrize(text),
    "pattern of the settings": lambda text: _refused(check_pattern, text),
    "text of a rule": lambda text: _refused(partial(parse_rule, kind="fingerprint"), text),
    "header of a client": lambda text: _refused(_credentials, text),
    "DSN": lambda text: _refused(read_dsn, f"https://{text}@host/1"),
}


def _refused(read: Callable[[str], object], text: str) -> None:
    # A warning of `re` about a pattern is an error in the test suite.
    with suppress(ValueError, RecursionError, FutureWarning, AuthError, DsnError):
        read(text)


def _credentials(text: str) -> object:
    headers = {"X-Sentry-Auth": f"Sentry {text}", "Authorization": text}
    return read_credentials(headers, [text[:64]])
