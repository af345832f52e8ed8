"""Words: how texts are folded and taken apart, the same for documents and for queries.

text ── accents and case aside ── runs of letters and digits ── words, and the parts of camelCase

Both databases get finished tokens of ASCII letters and digits. So their own rules for words, case
and accents never matter, and both find the same.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate

# Only this much of a text is read, and only so many letters of a word count.
MAX_TEXT = 10_000
MAX_WORD = 40

_RUN = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_PLAIN = re.compile(r"[a-y0-9]*")
# "z" begins the code of any character that is no such letter: "zz" is z itself, "z" with a letter
# is a frequent character of addresses and paths, "z" with six hexadecimal digits any other one. No
# code begins with another code. So a token begins with another one exactly if the text does.
_FREQUENT = dict(zip("/.-:@ _,=+#%&?()'\"[]<>$", "abcdefghijklmnopqrstuvw", strict=True))
_CODES = {"z": "zz"} | {character: f"z{letter}" for character, letter in _FREQUENT.items()}


class _Codes(dict[int, str]):
    """The code of each character, by its number."""

    def __missing__(self, number: int) -> str:
        return f"z{number:06x}"


_PLAIN_ONES = "abcdefghijklmnopqrstuvwxy0123456789"
_CODE_OF = _Codes({ord(one): one for one in _PLAIN_ONES} | {ord(k): v for k, v in _CODES.items()})
_CHARACTERS = {code: character for character, code in _CODES.items()}
_CODE = re.compile(r"z(?:[01][0-9a-f]{5}|[a-z])")
# No text has this code: it ends what was cut.
CUT = "zx"


def plain(text: str) -> str:
    """Return a text without accents and other marks, in its case, cut at MAX_TEXT characters."""
    text = text[:MAX_TEXT]
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if unicodedata.category(part) != "Mn")


def fold(text: str) -> str:
    """Return a text as it is compared: case and accents aside."""
    return plain(text).casefold()


def runs_of(text: str) -> list[str]:
    """Return the runs of letters and digits of a text, without accents, in their case."""
    return _RUN.findall(plain(text))


def words_of(text: str) -> list[str]:
    """Return the words of a text in order, folded."""
    return [run[:MAX_WORD].casefold() for run in runs_of(text)]


def parts_of(run: str) -> list[str]:
    """Return the parts of a name in camelCase, folded; empty for any other word."""
    if run.islower() or not run.isascii():
        return []
    parts = _CAMEL.findall(run[:MAX_WORD])
    return [part.lower() for part in parts] if len(parts) > 1 else []


def encode(text: str, at_most: int = MAX_WORD * 7) -> str:
    """Return a folded text as ASCII letters and digits.

    :param at_most: the length to cut at, between the codes of two characters.
    """
    if _PLAIN.fullmatch(text):
        return text[:at_most]
    code = text[:at_most].translate(_CODE_OF)
    if len(code) <= at_most:
        return code
    ends = accumulate(len(_CODE_OF[ord(character)]) for character in text[:at_most])
    return code[: max((end for end in ends if end <= at_most), default=0)]


def decode(code: str) -> str:
    """Return the text that :func:`encode` was given."""
    return _CODE.sub(_character_of, code) if "z" in code else code


def _character_of(found: re.Match[str]) -> str:
    code = found[0]
    return _CHARACTERS.get(code, "") if len(code) == 2 else chr(int(code[1:], 16))
