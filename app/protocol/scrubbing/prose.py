"""Rules for the values of secret names in sentences: ``token 'X' rejected``, ``password is X``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from app.protocol.scrubbing.names import COUNTABLE, HEADER, LOOSE, MAX_NAME, SECRET
from app.protocol.scrubbing.spans import FILTERED, Span

ANCHORS = ("assword ", "oken ", "ecret ")
_NAMED = re.compile(
    r"(?<![\w.-])(?P<name>[\w.-]++)(?:[ ]{1,2}|\((?=[\"']))"
    r"(?:(?P<verb>is|was|were|ist|war|lautet|est|es|of)[ ]{1,2})?"
    r"(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\n]{1,200}+)(?P=quote)|(?P<bare>[^\s\"'`,;()<>{}\[\]]{6,200}+))"
)
_MIXED = re.compile(r"(?=[^0-9]{0,200}+[0-9])[^\s]{6,200}+")
_TOKEN = re.compile(
    r"(?=[^0-9]{0,200}+[0-9])(?=[^A-Za-z]{0,200}+[A-Za-z])[\w.+/=~-]{10,200}+", re.A
)
SQL = re.compile(r"PASSWORD|BY|IDENTIFIED", re.I)

_STATEMENT = re.compile(r"\b(?:ALTER|CREATE|SET|GRANT|IDENTIFIED|WITH)\b", re.I)


def named_values(text: str, judge: Callable[[str], int], code: bool) -> Iterator[Span]:
    """Yield values after a secret name in a sentence or an SQL statement.

    :param code: whether the text is a source line; it has pairs, but no sentences.
    """
    position = 0
    while not code and (match := _NAMED.search(text, position)):
        position = match.end("name")
        span = _span(text, match, judge)
        if span is not None:
            yield span
            position = span[1]


def _span(text: str, match: re.Match[str], judge: Callable[[str], int]) -> Span | None:
    name, quoted, bare = match["name"][-MAX_NAME:], match["quoted"], match["bare"]
    is_sql = quoted is not None and SQL.fullmatch(name) and _STATEMENT.search(text)
    value = quoted if quoted is not None else bare.rstrip(".!?:")
    if FILTERED in value or not (is_sql or _is_secret(name, judge)):
        return None
    is_literal = is_sql and value[:1] not in "%$:?{"
    if not is_literal and not _looks_secret(value, bare is not None, match["verb"]):
        return None
    start = match.start("quoted" if quoted is not None else "bare")
    return start, start + len(value)


def _is_secret(name: str, judge: Callable[[str], int]) -> bool:
    verdict = judge(name)
    is_key = name.lower() == "key"
    return is_key or bool(verdict & SECRET and not verdict & (HEADER | LOOSE | COUNTABLE))


def _looks_secret(value: str, is_bare: bool, verb: str | None) -> bool:
    # "token 12 of 30" and "password reset2" are sentences. A value without quotes or a verb must be
    # long.
    pattern = _TOKEN if is_bare and not verb else _MIXED
    return bool(pattern.fullmatch(value))
