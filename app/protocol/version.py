"""Versions: which of two releases of one package is the newer one, where their names tell it.

    nav@10.24.0+311 ── package "nav" · numbers 10.24.0 · no pre-release · build 311

Understood are semantic versions, calendar versions (``2026.11.27``, ``2026-11-27``, ``20261127``),
any number of parts (``1.2.3.4``), what ``git describe`` writes (``1.2.3-14-gabc123``), pre-releases
(``-rc.1``, ``rc1``, ``.dev3``) and builds. A commit's hash or a single number is no version here:
whether 1234567 comes after 89 its name does not tell.

Source: https://semver.org/spec/v2.0.0.html (11. Precedence), 2026-11-27.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

# A single number may be a build, a counter or seven digits of a hash.
MIN_PARTS = 2
# Longer parts are no numbers that anybody counts versions by.
MAX_DIGITS = 18
# From here on a first part is a year.
_FIRST_YEAR, _LAST_YEAR = 1970, 2999

_PACKAGE_END = "@"
# Where the number begins if something else than `package@` is before it: `my-shop-1.2.3`.
_BEGIN = re.compile(r"[-_/ ](?=[vV]?\d)")
_NUMBERS = re.compile(r"\d{1,18}(?:\.\d{1,18})*")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?!\d)")
_COMPACT_DATE = re.compile(r"(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{0,6})(?!\d)")
_GIT_DESCRIBE = re.compile(r"-(\d{1,9})-g[0-9a-f]{4,40}(?:-dirty)?")
_POST = re.compile(r"[-_.]?post[-_.]?(\d{1,9})", re.IGNORECASE)
_WORDS = re.compile(r"[0-9A-Za-z._-]{1,100}")
_PIECE = re.compile(r"\d{1,18}|[A-Za-z]+")


class Version(NamedTuple):
    """A version, taken apart.

    :param package: of what; empty where the name does not say.
    :param numbers: without zeros at the end, as 1.2 and 1.2.0 are one version.
    :param before: of a pre-release its identifiers, each ``(0, number, "")`` or ``(1, 0, word)``.
    :param after: commits or post-releases after the version.
    :param build: what follows ``+``; empty without one.
    """

    package: str
    numbers: tuple[int, ...]
    before: tuple[tuple[int, int, str], ...]
    after: int
    build: str

    @property
    def is_calendar(self) -> bool:
        """Whether it counts by years."""
        return _FIRST_YEAR <= self.numbers[0] <= _LAST_YEAR

    def is_comparable(self, other: Version) -> bool:
        """Whether both are versions of one package, counted in the same way."""
        return self.package == other.package and self.is_calendar == other.is_calendar


@functools.lru_cache(4096)
def parse_version(name: str) -> Version | None:
    """Take the name of a release apart; ``None`` where it is no version.

    :param name: ``package@version+build``; package and build may be missing.
    """
    package, _, text = name.strip().rpartition(_PACKAGE_END)
    text, _, build = text.partition("+")
    if not package and text[:1].isalpha() and (begin := _BEGIN.search(text)):
        package, text = text[: begin.start()], text[begin.end() :]
    if text[:1] in ("v", "V"):
        text = text[1:]
    numbers, rest = _numbers(text)
    if len(numbers) < MIN_PARTS:
        return None
    after = 0
    if match := _GIT_DESCRIBE.fullmatch(rest) or _POST.fullmatch(rest):
        after, rest = int(match[1]), ""
    elif _FIRST_YEAR <= numbers[0] <= _LAST_YEAR and rest[1:].isascii() and rest[1:].isdigit():
        # After a date a number counts the releases of that day.
        after, rest = int(rest[1 : MAX_DIGITS + 1]), ""
    if rest and not _WORDS.fullmatch(rest):
        return None
    return Version(package, _trimmed(numbers), _identifiers(rest), after, build)


def compare(one: Version, other: Version) -> int | None:
    """Return -1, 0 or 1 as the first is older, the same or newer.

    :return: ``None`` where their names do not tell: of two packages, or by builds that are no
        numbers.
    """
    if not one.is_comparable(other):
        return None
    keys = [_key(version) for version in (one, other)]
    if keys[0] != keys[1]:
        return -1 if keys[0] < keys[1] else 1
    if one.build == other.build:
        return 0
    builds = [_numbers(version.build) for version in (one, other)]
    if any(rest or not numbers for numbers, rest in builds):
        return None
    first, second = (_trimmed(numbers) for numbers, _ in builds)
    return (first > second) - (first < second)


def _numbers(text: str) -> tuple[tuple[int, ...], str]:
    """Return the numbers that a text begins with, and what follows."""
    if match := _DATE.match(text) or _COMPACT_DATE.match(text):
        return tuple(int(part) for part in match.groups() if part), text[match.end() :]
    match = _NUMBERS.match(text)
    if match is None:
        return (), text
    return tuple(map(int, match[0].split("."))), text[match.end() :]


def _trimmed(numbers: tuple[int, ...]) -> tuple[int, ...]:
    end = len(numbers)
    while end > 1 and numbers[end - 1] == 0:
        end -= 1
    return numbers[:end]


def _identifiers(text: str) -> tuple[tuple[int, int, str], ...]:
    pieces = _PIECE.findall(text)
    return tuple(
        (0, int(piece), "") if piece.isdigit() else (1, 0, piece.lower()) for piece in pieces
    )


def _key(version: Version) -> tuple[object, ...]:
    # A pre-release comes before its release, whatever it is called.
    return version.numbers, not version.before, version.before, version.after
