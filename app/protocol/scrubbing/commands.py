"""Rules for passwords in the command lines of tools and in SQL statements."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from app.protocol.scrubbing.harmless import is_harmless
from app.protocol.scrubbing.names import SECRET
from app.protocol.scrubbing.spans import Span

ANCHORS = (" -u", " -p", " -a", " -P", " -w", "--user")
USER = re.compile(r"-u[\w.-]{1,64}", re.A)
# `curl -u user:password`. Digits on both sides are the ids of a user and a group, as in
# `docker -u 1:1`.
_USER = re.compile(
    r"(?<![\w-])(?:-u|--user)(?:[ =]|(?=[^\s]{1,64}:))[\"']?[^\s:\"'=]{1,64}+"
    r":(?P<value>(?![0-9/]{1,10}\b)[^\s\"']{1,200}+)"
)
# Tools with an option for the password: attached to the option, or in the next argument.
_ATTACHED = (("-p", re.compile(r"\b(?:mysql\w{0,16}|mariadb[\w-]{0,16}|7z)\b")),)
_APART = (
    ("-p", re.compile(r"\b(?:sshpass|mongo\w{0,10}|docker login|az login|podman login)\b")),
    ("-a", re.compile(r"\bredis-cli\b")),
    ("-w", re.compile(r"\bldap(?:search|add|modify|whoami|passwd)\b")),
    ("-P", re.compile(r"\b(?:sqlcmd|unzip|zip|bcp)\b")),
)
_VALUE = re.compile(
    r"(?<![\w-])(?P<option>-[pawP])(?P<space>[ ]?)[\"']?(?P<value>[^\s\"'-][^\s\"']{0,200}+)"
)

_INSERT = re.compile(
    r"insert\s{1,8}into\s{1,8}[^\s(]{1,128}+\s{0,8}\((?P<columns>[^()]{1,2000}+)\)\s{0,8}values\s{0,8}",
    re.I,
)
_ITEM = re.compile(
    r"\s*+(?:[NEbx]?'(?P<single>(?:[^'\\]++|\\.|'')*+)'?|\"(?P<double>[^\"]*+)\"?|(?P<bare>[^,()'\"]*+))\s*+",
    re.S,
)


def short_options(text: str) -> Iterator[Span]:
    """Yield the passwords of ``curl -u user:X``, ``mysql -pX``, ``sshpass -p X`` and the like."""
    spans = [match.span("value") for match in _USER.finditer(text)]
    attached = {option for option, tool in _ATTACHED if tool.search(text)}
    apart = {option for option, tool in _APART if tool.search(text)}
    for match in _VALUE.finditer(text) if attached or apart else ():
        if match["option"] in (apart if match["space"] else attached | apart):
            spans.append(match.span("value"))
    yield from sorted(spans)


def inserted_values(text: str, judge: Callable[[str], int], code: bool) -> Iterator[Span]:
    """Yield the values of secret columns in ``INSERT INTO users (name, password) VALUES (…)``."""
    for match in _INSERT.finditer(text):
        columns = [name.strip(" \t\r\n\"'`[]") for name in match["columns"].split(",")]
        verdicts = [judge(name) for name in columns]
        position = match.end()
        while text[position : position + 1] == "(":
            position += 1
            for name, verdict in zip(columns, verdicts, strict=True):
                item = _ITEM.match(text, position)
                if item is None or item.lastgroup is None:
                    return
                value = item[item.lastgroup]
                if (
                    verdict & SECRET
                    and value
                    and not is_harmless(name, value, verdict, in_text=True)
                ):
                    yield item.span(item.lastgroup)
                position = item.end()
                if text[position : position + 1] != ",":
                    break
                position += 1
            tail = re.compile(r"[^()]{0,64}\)\s{0,8},?\s{0,8}").match(text, position)
            if tail is None:
                return
            position = tail.end()
