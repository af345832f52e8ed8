"""Moods of the fake: its behaviour, and the requests that it applies to.

The fake has one mood at a time. The name of a mood is its behaviour; the other fields are options
and conditions. Other requests get the answer of a healthy Sentry.
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
# Only these moods accept envelopes, and only with a status below 300.
ACCEPTING = frozenset({"ok", "status", "slow", "drip", "big_body", "accept_then_reset"})


@dataclass(frozen=True)
class Mood:
    """A behaviour of the fake, and the requests that it applies to.

    :param name: one of ``NAMES``, or the three digits of an HTTP status.
    :param status: HTTP status of the answer, if there is one; default 200 (``redirect``: 302).
    :param body: of the answer; the default is Sentry's answer.
    :param retry_after: seconds, sent in the header Retry-After; ``retry_after_date`` is sent as a
        date.
    :param rate_limits: the header X-Sentry-Rate-Limits, with any status.
    :param seconds: the delay before the answer (``slow``), or before each byte of it (``drip``).
    :param size: of the body of ``big_body``, in bytes.
    :param accepts: whether the record notes the envelope as accepted, whatever the answer is. By
        default it notes what a client can conclude from the answer; with ``accept_then_reset`` it
        notes the envelope as accepted.
    :param closes: close the connection after the answer without announcing it.
    :param only_item_type: apply only to envelopes with an item of this type; ``only_project``
        works likewise.
    :param only_every: of those, apply only to every nth.
    :param times: of those, apply only to this number of requests, and to none after them.
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
        """The status that a client can receive."""
        return (
            None if self.name in ("hang", "reset", "accept_then_reset", "broken") else self.status
        )

    def is_for(self, project: str | None, item_types: list[str]) -> bool:
        """Return whether project and item types fit, before counting."""
        return self.only_project in (None, project) and (
            self.only_item_type is None or self.only_item_type in item_types
        )


class Line(Protocol):
    """The part of a connection that moods use."""

    gone: asyncio.Event

    async def send(self, data: bytes) -> bool:
        """Send data, and return whether the client is still connected."""

    def reset(self) -> None:
        """Close with RST."""

    def close(self) -> None:
        """Close after all data is sent."""

    async def gone_within(self, seconds: float | None) -> bool:
        """Wait this long; return True, and early, if the client disconnects."""


def http_answer(status: int, headers: dict[str, str], body: bytes) -> bytes:
    """Return the bytes of an answer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Whatever"
    lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def answer_of(mood: Mood, event_id: str | None) -> bytes:
    """Return the whole answer to an envelope."""
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
    """Apply a mood to a request.

    :return: whether the whole answer was sent to a client that was still connected.
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
    # The listening socket is closed. A request in progress is reset.
    "refused": _reset,
}


class Moody:
    """The current mood, and the count of requests that it applied to."""

    def __init__(self) -> None:
        self.mood = Mood()
        self._meant = 0

    def change(self, mood: Mood) -> None:
        self.mood, self._meant = mood, 0

    def mood_for(self, project: str | None, item_types: list[str]) -> Mood:
        """Return the mood for the next request."""
        mood = self.mood
        if not mood.is_for(project, item_types):
            return Mood()
        self._meant += 1
        met, left_over = divmod(self._meant, mood.only_every)
        if left_over or (mood.times is not None and met > mood.times):
            return Mood()
        return mood
