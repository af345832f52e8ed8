"""Versions: which of two releases of a package is newer, if their names say so.

    nav@10.24.0+311 ── package "nav" · numbers 10.24.0 · no pre-release · build 311

Supported forms are semantic versions, calendar versions (``2026.11.27``, ``2026-11-27``,
``20261127``), any number of parts (``1.2.3.4``), the output of ``git describe``
(``1.2.3-14-gabc123``), pre-releases (``-rc.1``, ``rc1``, ``.dev3``) and builds. The hash of a
commit or a single number is not a version here: the name does not say whether 1234567 comes after
89.

Source: https://semver.org/spec/v2.0.0.html (11. Precedence), 2026-11-27.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

# A single number may be a build, a counter or seven digits of a hash.
MIN_PARTS = 2
# Parts with more digits are not version numbers.
MAX_DIGITS = 18
# A first part in this range is a year.
_FIRST_YEAR, _LAST_YEAR = 1970, 2999

_PACKAGE_END = "@"
# The start of the number if it follows another prefix than `package@`: `my-shop-1.2.3`.
_BEGIN = re.compile(r"[-_/ ](?=[vV]?\d)")
_NUMBERS = re.compile(r"\d{1,18}(?:\.\d{1,18})*")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?!\d)")
_COMPACT_DATE = re.compile(r"(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{0,6})(?!\d)")
_GIT_DESCRIBE = re.compile(r"-(\d{1,9})-g[0-9a-f]{4,40}(?:-dirty)?")
_POST = re.compile(r"[-_.]?post[-_.]?(\d{1,9})", re.IGNORECASE)
_WORDS = re.compile(r"[0-9A-Za-z._-]{1,100}")
_PIECE = re.compile(r"\d{1,18}|[A-Za-z]+")


class Version(NamedTuple):
    """A parsed version.

    :param package: the name of the package; empty if the release has none.
    :param numbers: without zeros at the end, because 1.2 and 1.2.0 are the same version.
    :param before: the identifiers of a pre-release, each ``(0, number, "")`` or ``(1, 0, word)``.
    :param after: the number of commits or post-releases after the version.
    :param build: the text after ``+``; empty if there is none.
    """

    package: str
    numbers: tuple[int, ...]
    before: tuple[tuple[int, int, str], ...]
    after: int
    build: str

    @property
    def is_calendar(self) -> bool:
        """Whether this is a calendar version."""
        return _FIRST_YEAR <= self.numbers[0] <= _LAST_YEAR

    def is_comparable(self, other: Version) -> bool:
        """Return whether both are versions of the same package with the same scheme."""
        return self.package == other.package and self.is_calendar == other.is_calendar


@functools.lru_cache(4096)
def parse_version(name: str) -> Version | None:
    """Return the version in the name of a release, or ``None`` if it is not a version.

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
        # A number after a date counts the releases of that day.
        after, rest = int(rest[1 : MAX_DIGITS + 1]), ""
    if rest and not _WORDS.fullmatch(rest):
        return None
    return Version(package, _trimmed(numbers), _identifiers(rest), after, build)


def compare(one: Version, other: Version) -> int | None:
    """Return -1, 0 or 1 if the first version is older, the same or newer.

    :return: ``None`` if the names do not say it: for two packages, or for builds that are not
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
    """Return the numbers at the start of a text, and the rest of the text."""
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
    # A pre-release with any name comes before its release.
    return version.numbers, not version.before, version.before, version.after
