"""Messages without the parts that vary between events: ids, numbers, addresses, quoted values.

Every search here takes linear time: no repeat is inside another repeat, and the text is cut before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from app.protocol.event import first_line

# A longer message is some kind of data; its beginning is enough to distinguish messages.
MAX_MESSAGE = 200
# More text than that is read, so that the length of an id does not change where the text is cut.
_MAX_READ = 1000

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?(?:[AaPp][Mm]\b|GMT|UTC|Z|[+-]\d\d:?\d\d))?"
_UUID = r"(?P<uuid>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)"
_NUMBER = (
    r"(?P<number>(?:(?<![\w.)\]-])[+-])?(?<![^\W_])\d+(?:[.,:/-]\d+)*(?:[eE][+-]?\d+)?"
    r"(?:%|(?:[KMGT]i?B|[kMG]?bytes?|[kmgt]b|[numµ]s|sec|min|hrs?|px|[smhdBKMG])\b|(?!\w)))"
    r"|(?P<word>(?<![^\W_])(?=[^\W\d_]*+\d)[^\W_]++(?:[_-](?=[^\W\d_]*+\d)[^\W_]++)*+)"
)
_VARIABLE = re.compile(
    r"(?P<quoted>(?<!\w)'[^'\n]{1,200}'(?!\w)|\"[^\"\n]{0,200}\"(?P<key>\s?:)?"
    r"|(?<!\w)`[^`\n]{1,200}`|“[^”\n]{1,200}”|«[^»\n]{1,200}»)"
    r"|(?P<url>\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s'\"<>()\[\]{},;]+)"
    r"|(?P<email>(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64})"
    rf"|{_UUID}"
    rf"|(?P<date>\b\d{{4}}-\d\d-\d\d(?:[T ]{_CLOCK})?"
    rf"|\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{{0,6}},? )?(?:\d{{1,2}}[ /-]{_MONTH}|{_MONTH}"
    rf" \d{{1,2}}\b)(?:,?[ /-]\d{{4}})?(?:[ :,]{{1,2}}{_CLOCK})?(?: \d{{4}}\b)?)"
    r"|(?P<ip>(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?:/\d{1,2})?"
    r"|(?=[a-fA-F:]{0,19}\d)(?:(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}"
    r"|[0-9a-fA-F]{0,4}::[0-9a-fA-F]{1,4}))(?![\w:]))"
    rf"|(?P<time>\b{_CLOCK}(?![\w:]))"
    r"|(?P<path>(?<![\w/\\.~<])(?:~|\.{1,2}|[a-zA-Z]:)?[\\/][\w.@~+%=-]+[\\/][\w.@~+%=:\\/-]*"
    r"|(?<![\w/\\.<])[a-zA-Z]:[\\/][\w.@~+%=-]+)"
    r"|(?P<hex>\b0[xX][0-9a-fA-F]+\b)"
    r"|(?P<token>(?<![\w-])[a-zA-Z0-9_-]{16,}={0,2})"
    rf"|{_NUMBER}"
)
# The variable parts inside a token that is not random as a whole.
_PIECES = re.compile(f"{_UUID}|{_NUMBER}")
_CASES = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+|[_-]")
# A list of three values becomes the same text as a list of five.
_REPEATED = re.compile(r"(<[a-z]+>)(?:(?:, ?|; ?| )\1)+")
# A name in quotes as in code: a key, an attribute, a column, a module.
_NAME = re.compile(r"[^\W\d][\w$.:-]{0,39}")
# The text before a quoted value of outside data, which differs for each user or row.
_BEFORE_DATA = re.compile(
    r"(?:\b(?:users?|username|customers?|accounts?|members?|clients?|tenants?|persons?|people"
    r"|players?|owners?|authors?|emails?|logins?|sessions?|tokens?|orders?|ids?|passwords?|entry"
    r"|literal|input|convert|parse|decode|parsing|syntax|director(?:y|ies)|files?|folders?|paths?"
    r"|got|received)\b[^'\"`“«]{0,32}|[=\"]\s?:?\s?)$",
    re.IGNORECASE,
)
# An error in the notation of code, as Celery and others log it: ValueError('no row 7').
_ERROR_IN_CODE = re.compile(r"(?<![\w.])[A-Z][a-zA-Z]{2,60}\($")
_RUNS = re.compile(r"\d+|[^\d]+")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")


def parametrize(message: str) -> str:
    """Return the first line of a message, with variable parts replaced by their kind.

    ``order 17 of a@example.org`` becomes ``order <number> of <email>``.
    """
    return _parametrize(first_line(message[: _MAX_READ * 4])[:_MAX_READ])


@lru_cache(maxsize=1024)
def _parametrize(line: str) -> str:
    text = _VARIABLE.sub(_kind, " ".join(line.split()))
    return _REPEATED.sub(r"\1", text)[:MAX_MESSAGE]


def parametrize_but_names(message: str) -> str:
    """Return a message as :func:`parametrize` does, but keep short names in quotes.

    ``'price'`` is a name. A number, an id, an address, and a value after words like "user" are not
    names.
    """
    return _parametrize_but_names(first_line(message[: _MAX_READ * 4])[:_MAX_READ])


@lru_cache(maxsize=1024)
def _parametrize_but_names(line: str) -> str:
    text = _VARIABLE.sub(_kind_or_name, " ".join(line.split()))
    return _REPEATED.sub(r"\1", text)[:MAX_MESSAGE]


def _kind_or_name(match: re.Match[str]) -> str:
    kind = _kind(match)
    if kind != "<quoted>":
        return kind
    name = match[0][1:-1]
    before = match.string[max(0, match.start() - 56) : match.start()]
    if " " in name and _ERROR_IN_CODE.search(before):
        return f"'{_VARIABLE.sub(_kind_or_name, name)}'"
    is_name = _NAME.fullmatch(name) and _VARIABLE.sub(_kind, name) == name
    is_random = len(name) > 5 and _is_random(name)
    return kind if not is_name or is_random or _BEFORE_DATA.search(before) else f"'{name}'"


def substitute(line: str, replacements: Mapping[str, Callable[[str], str]]) -> str:
    """Return a line with its variable parts replaced, some of them by functions of the caller.

    :param line: one line, of bounded length.
    :param replacements: a function for each kind (``quoted``, ``url``, ``path`` …), which returns
        the new text for the text that was found. All other kinds are replaced as
        :func:`parametrize` does.
    """

    def replace(match: re.Match[str]) -> str:
        own = replacements.get(match.lastgroup or "")
        return own(match[0]) if own else _kind(match)

    return _VARIABLE.sub(replace, " ".join(line.split()))


def _kind(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    if kind == "quoted" and match["key"]:
        return match[0]  # The name of a JSON member distinguishes messages; its value does not.
    if kind == "word":
        return _word(match[0])
    if kind == "token":
        return _token(match[0])
    if kind == "url":
        trailing = match[0][len(match[0].rstrip(".!?:")) :]
        return f"<url>{trailing}"
    return {"time": "<date>"}.get(kind, f"<{kind}>")


def _token(token: str) -> str:
    pieces = _PIECES.sub(_kind, token)
    return "<number>" if _is_random(token) and "<uuid>" not in pieces else pieces


def _word(word: str) -> str:
    """Return an id as ``<number>``, and a name with numbers with only the numbers replaced.

    ``8fK2x9`` is an id, ``user17`` has a name in it. An id is written like a number, because some
    ids of the same kind have only digits.
    """
    runs = _RUNS.findall(word)
    longest_name = max((len(run) for run in runs if not run.isdigit()), default=0)
    is_hex = len(word) >= 6 and _HEXADECIMAL.fullmatch(word)
    is_id = len(runs) > 3 and longest_name < 4
    if is_hex or is_id or (len(word) >= 16 and (len(runs) > 5 or _is_random(word))):
        return "<number>"
    return "".join("<number>" if run.isdigit() else run for run in runs)


def _is_random(token: str) -> bool:
    """Return whether a token is random, not a long name: random text often changes its case."""
    return len(_CASES.findall(token)) * 2.3 > len(token)
