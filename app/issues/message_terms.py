"""The words of a message, without the prefix of a logger and without ids and numbers.

line ── without a logger's prefix ── variable parts removed or reduced to their name ── words

Grouping checks whether two messages are the same. Similarity measures how much two messages have in
common. Therefore a quoted text is kept if it is a name: ``KeyError: 'price'`` differs from
``KeyError: 'address'``.
"""

from __future__ import annotations

import re

from app.issues.parametrize import substitute

# A message is usually one line, rarely two; the rest is data.
MAX_LINES = 3
MAX_LINE = 400

_LEVEL = (
    r"(?:trace|debug|info|information|notice|warn|warning|err|error|severe|crit|critical|alert"
    r"|fatal|emerg|panic)"
)
# A piece of the prefix that loggers write; no repeat is inside another repeat.
_PREFIX = re.compile(
    r"\s{0,40}+(?:"
    r"\[[^\]\n]{0,100}\]"  # [2026-11-24 10:00:00,123] [main] [req-id]
    r"|<\d{1,3}>\d?(?=[ \d<\[A-Z])"  # syslog's priority
    r"|\((?:(?=[^()\s]*\d)[^()\s]*+|MainThread|main)\)"
    r"|[IWEF]\d{4}(?= )"  # klog
    r"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? )?(?:\d{1,2} )?"
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6} \d[\d:, ]*"
    r"|\d[\dTZ:.,/+-]*(?=[\s\]|]|$)"  # times, process ids, durations
    rf"|(?i:{_LEVEL})(?=[\s:|\]/-]|$)(?! (?:in|while|when|of|at|on|during|from|to|for)\b)"
    r"|(?!(?:msg|message|error|err|event|reason)=)[\w.@/-]{1,40}=(?:\"[^\"]{0,100}\"|[^\s\"]{0,100})(?=\s)"
    r"|(?:[\w.-]{1,60} )?[\w.@/-]{1,60}\[[\w:-]{1,40}\]:?(?=\s)"  # web-3 cron[412]:
    r"|[\w./-]{1,60}:\d+\](?=\s)"  # reflector.go:125]
    r"|(?=[\w@-]*\d)[\w@.-]++\s(?=[|:-]|\[)"  # web-3 |
    r"|(?=[\w-]*\d)[\w-]{8,64}(?=\s)"  # the id of a request
    r"|[-|:·•>»,;*#~]+(?=\s)"
    r")"
)
# The logger's name often follows. It has dots or dashes, and a separator after it.
_LOGGER = re.compile(r"\s*(?=[\w$/@-]*[.@/-])[\w.$/@-]{1,80}(?: ?[:|]| -+)\s+(?=\S)")
_KIND = re.compile(r"<[a-z]+>")
_WORD = re.compile(r"[^\W\d_](?:[\w'’-]*[^\W\d_])?")
_NAME_PIECE = re.compile(r"[^\W\d_]{2,}")
_IDENTIFIER = re.compile(r"[A-Za-z_$@][\w$@.:#>()\[\]-]{0,60}")
_ADDRESS = re.compile(
    r"[\w+.-]{1,20}://(?:[^/@\s]*@)?(?P<host>[^/:?#\s]*)[^/?#\s]*(?P<path>[^?#\s]*)"
)
_STOP_WORDS = frozenset(
    "a an the of to in on at by for from with and or as is are was were be been has have had it "
    "its this that these those there s t".split()
)
_TYPE = re.compile(
    r"(?:(?i:uncaught|unhandled|caused by:?|panic:|exception in thread \S{1,80}|\(in promise\))"
    r"\s+){0,3}"
    r"(?P<type>(?:[A-Za-z_]\w{0,100}(?:\.|::|\\)){0,8}[A-Z]\w{0,100}"
    r"(?:Error|Exception|Warning|Failure|Fault|Violation|Interrupt|Exit|Timeout))(?=:|\s*$)"
)


def lines_of(message: str) -> list[str]:
    """Return the first lines that are not empty, without the prefix of a logger."""
    given = (line[:MAX_LINE] for line in message[: MAX_LINES * 1000].splitlines())
    return [without_prefix(line) for line in given if line.strip()][:MAX_LINES]


def without_prefix(line: str) -> str:
    """Return a line without the time, level, process, request and logger at its beginning.

    The line stays as it is if no words would be left.
    """
    end = 0
    while (piece := _PREFIX.match(line, end)) and piece.end() > end:
        end = piece.end()
    if end and (name := _LOGGER.match(line, end)) and not _TYPE.match(line[end:].strip()):
        end = name.end()
    rest = line[end:].strip(" \t:|-")
    return rest if _NAME_PIECE.search(rest) else line.strip()


def split_type(line: str) -> tuple[str, str]:
    """Return the exception type at the beginning of a line, empty without one, and the rest."""
    found = _TYPE.match(line)
    return (found["type"], line[found.end() :].lstrip(": ")) if found else ("", line)


def words_of(line: str) -> list[str]:
    """Return the words of a line in lower case, each once, in order.

    A plain word stays as it is. A name in quotes becomes ``'price'``. A file, and each part of the
    host and path of an address, becomes ``/name.ext``. Ids, numbers, dates and other variable parts
    are left out.
    """
    names: list[str] = []

    def quoted(text: str) -> str:
        inner = text.rstrip(": ").strip("'\"`“”«»").strip()
        if _IDENTIFIER.fullmatch(inner) and not any(char.isdigit() for char in inner):
            names.append(f"'{inner.lower()}'")
            return " "
        return f" {substitute(inner, {**replacements, 'quoted': lambda text: ' '})} "

    def file(text: str) -> str:
        _append_name(names, re.split(r"[\\/]", text.rstrip("\\/.:"))[-1])
        return " "

    def address(text: str) -> str:
        if found := _ADDRESS.match(text):
            for part in (found["host"], *found["path"].split("/")):
                _append_name(names, part)
        return " "

    replacements = {"quoted": quoted, "path": file, "url": address}
    plain = _KIND.sub(" ", substitute(line, replacements)).lower()
    found = [word for word in _WORD.findall(plain) if word not in _STOP_WORDS]
    return list(dict.fromkeys([*found, *names]))


def _append_name(names: list[str], text: str) -> None:
    """Append the name of a file, host or folder to ``names``, unless it is an id."""
    pieces = _NAME_PIECE.findall(text.lower())
    digits = sum(char.isdigit() for char in text)
    if pieces and digits <= sum(map(len, pieces)):
        names.append("/" + ".".join(pieces))
