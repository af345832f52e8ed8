"""How the fake behaves: one mood at a time, and which requests meet it.

A mood's name says what is done; the fields say how, and for whom. Who is not meant is answered
as by a healthy Sentry.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

PAGE = "<!doctype html><title>Sign in</title><p>This network wants you to sign in first."
GARBAGE = b"\x00\x15\x03\x01 this is no HTTP\r\n\r\n"
# SO_LINGER on, for 0 seconds: close() sends RST instead of FIN.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# By what is not listed nothing is accepted. An answer is only one with a status below 300.
ACCEPTING = frozenset({"ok", "status", "slow", "drip", "big_body", "accept_then_reset"})


@dataclass(frozen=True)
class Mood:
    """What is done to the requests that are meant.

    :param name: one of ``NAMES``, or the three digits of a status.
    :param status: of the answer, where there is one; default 200 (``redirect``: 302).
    :param body: of the answer; default what Sentry answers.
    :param retry_after: seconds, in the header of that name; ``retry_after_date`` likewise, said
        as a date.
    :param rate_limits: the header X-Sentry-Rate-Limits, with any status.
    :param seconds: ``slow``: before the answer; ``drip``: before each of its bytes.
    :param size: bytes of ``big_body``.
    :param accepts: whether the record takes the envelope as accepted, whatever is answered;
        default: what a client may conclude from the answer, and yes with ``accept_then_reset``.
    :param closes: close the connection after the answer without having said so.
    :param only_item_type: meant are envelopes with an item of that type; ``only_project`` likewise.
    :param only_every: of those, meant is every nth.
    :param times: of those, meant are so many, and nobody after them.
    """

    name: str = "ok"
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    retry_after: int | None = None
    retry_after_date: int | None = None
    rate_limits: str | None = None
    seconds: float = 1.0
    size: int = 64 * 2**20
    accepts: bool | None = None
    closes: bool = False
    only_item_type: str | None = None
    only_project: str | None = None
    only_every: int = 1
    times: int | None = None

    def __post_init__(self) -> None:
        if self.name.isdecimal():
            object.__setattr__(self, "status", int(self.name))
            object.__setattr__(self, "name", "status")
        if self.name not in NAMES:
            raise ValueError(f"mood {self.name} is unknown; there are {', '.join(sorted(NAMES))}")
        if not self.status:
            object.__setattr__(self, "status", 302 if self.name == "redirect" else 200)

    @property
    def is_accepting(self) -> bool:
        if self.accepts is not None:
            return self.accepts
        return self.name in ACCEPTING and self.status < 300

    @property
    def answered_status(self) -> int | None:
        """The status that a client may get to see."""
        return (
            None if self.name in ("hang", "reset", "accept_then_reset", "broken") else self.status
        )

    def is_for(self, project: str | None, item_types: list[str]) -> bool:
        """Whether a request is meant, before counting."""
        return self.only_project in (None, project) and (
            self.only_item_type is None or self.only_item_type in item_types
        )


class Line(Protocol):
    """What a mood may do with a connection."""

    gone: asyncio.Event

    async def send(self, data: bytes) -> bool:
        """Send; return whether the client is still there."""

    def reset(self) -> None:
        """Close with RST."""

    def close(self) -> None:
        """Close when everything is sent."""

    async def gone_within(self, seconds: float | None) -> bool:
        """Wait; return early, and True, when the client leaves."""


def http_answer(status: int, headers: dict[str, str], body: bytes) -> bytes:
    """The bytes of one answer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Whatever"
    lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def answer_of(mood: Mood, event_id: str | None) -> bytes:
    """The whole answer to one envelope."""
    headers = {"Content-Type": "application/json"}
    if mood.name == "html":
        headers["Content-Type"] = "text/html; charset=utf-8"
    if mood.name == "redirect":
        headers["Location"] = "/portal/"
    if mood.retry_after is not None:
        headers["Retry-After"] = str(mood.retry_after)
    if mood.retry_after_date is not None:
        headers["Retry-After"] = formatdate(time.time() + mood.retry_after_date, usegmt=True)
    if mood.rate_limits is not None:
        headers["X-Sentry-Rate-Limits"] = mood.rate_limits
    return http_answer(mood.status, headers | mood.headers, _body_of(mood, event_id))


def _body_of(mood: Mood, event_id: str | None) -> bytes:
    if mood.body is not None:
        return mood.body.encode()
    if mood.name == "html":
        return PAGE.encode()
    if mood.status >= 300:
        return json.dumps({"detail": f"told to answer {mood.status}"}).encode()
    return json.dumps({"id": event_id} if event_id else {}).encode()


async def behave(mood: Mood, line: Line, event_id: str | None) -> bool:
    """Do to one request what the mood says.

    :return: whether the whole answer was sent to a client that was still there.
    """
    answered = await NAMES[mood.name](mood, line, event_id)
    if mood.closes:
        line.close()
    return answered


async def _answer(mood: Mood, line: Line, event_id: str | None) -> bool:
    return await line.send(answer_of(mood, event_id))


async def _slow(mood: Mood, line: Line, event_id: str | None) -> bool:
    if await line.gone_within(mood.seconds):
        return False
    return await _answer(mood, line, event_id)


async def _drip(mood: Mood, line: Line, event_id: str | None) -> bool:
    for byte in answer_of(mood, event_id):
        if await line.gone_within(mood.seconds) or not await line.send(bytes([byte])):
            return False
    return True


async def _hang(mood: Mood, line: Line, event_id: str | None) -> bool:
    await line.gone_within(None)
    return False


async def _reset(mood: Mood, line: Line, event_id: str | None) -> bool:
    line.reset()
    return False


async def _broken(mood: Mood, line: Line, event_id: str | None) -> bool:
    await line.send(GARBAGE)
    line.close()
    return False


async def _close_after_headers(mood: Mood, line: Line, event_id: str | None) -> bool:
    head, _, _ = answer_of(mood, event_id).partition(b"\r\n\r\n")
    await line.send(head + b"\r\n\r\n")
    line.close()
    return False


async def _big_body(mood: Mood, line: Line, event_id: str | None) -> bool:
    head = f"HTTP/1.1 {mood.status} OK\r\nContent-Length: {mood.size}\r\n\r\n"
    is_there = await line.send(head.encode())
    for sent in range(0, mood.size, 65_536):
        is_there = is_there and await line.send(b" " * min(65_536, mood.size - sent))
    return is_there


NAMES: dict[str, Callable[[Mood, Line, str | None], Awaitable[bool]]] = {
    "ok": _answer,
    "status": _answer,
    "html": _answer,
    "redirect": _answer,
    "slow": _slow,
    "drip": _drip,
    "hang": _hang,
    "reset": _reset,
    "accept_then_reset": _reset,
    "broken": _broken,
    "close_after_headers": _close_after_headers,
    "big_body": _big_body,
    # The door is closed: a request that is under way is reset.
    "refused": _reset,
}


class Moody:
    """The mood of now, and who has met it."""

    def __init__(self) -> None:
        self.mood = Mood()
        self._meant = 0

    def change(self, mood: Mood) -> None:
        self.mood, self._meant = mood, 0

    def mood_for(self, project: str | None, item_types: list[str]) -> Mood:
        """The mood that the next request meets."""
        mood = self.mood
        if not mood.is_for(project, item_types):
            return Mood()
        self._meant += 1
        met, left_over = divmod(self._meant, mood.only_every)
        if left_over or (mood.times is not None and met > mood.times):
            return Mood()
        return mood
