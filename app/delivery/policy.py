"""What Sentry's answer, or a missing answer, means for the envelope that was sent.

    delivered   accepted: 2xx with a JSON object
    retry       try again: network errors, 3xx, 408, 425, 429, 5xx, a page that is not from Sentry
    parked      a later attempt would fail too, a person must look: 400, 413, other 4xx
    refused     the destination accepts no envelope at all: 401, 403, 404, 407, 508. The envelope
                waits, and the destination's circuit opens

The specification tells an SDK to drop the envelope on most of these. This service stores and
forwards, so it drops nothing.

Source: https://develop.sentry.dev/sdk/foundations/transport/envelopes/ and
https://develop.sentry.dev/sdk/expected-features/rate-limiting/, 2026-11-24.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from app.protocol.event import clean_text, parse_event_id
from app.protocol.rate_limits import DEFAULT_LIMIT, EVERYTHING, parse_rate_limits, parse_retry_after

Kind = Literal["delivered", "retry", "parked", "refused"]

MAX_LENGTH = 300

_REFUSALS = {
    401: "401: the key is wrong",
    403: "403: the key is disabled, or another project's",
    404: "404: the path or the project does not exist there",
    407: "407: the proxy wants a password",
    508: "508: the DSN leads back to this service",
}
_MEANINGS = {
    400: "Sentry cannot read the envelope",
    408: "Sentry waited too long for the envelope",
    413: "too large for Sentry",
    425: "Sentry wants it later",
    429: "Sentry asks to wait",
    500: "Sentry failed",
    502: "a proxy in front of Sentry got no answer",
    503: "Sentry is overloaded or down",
    504: "a proxy in front of Sentry waited too long",
}
_RETRIED = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Answer:
    """An HTTP answer.

    :param headers: names in lower case.
    :param body: only the beginning of the body.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Failure:
    """There was no answer. ``cause`` says why, in words."""

    cause: str


@dataclass(frozen=True)
class Decision:
    """What to do with an envelope after an attempt.

    :param cause: why Sentry does not have the envelope; empty if Sentry accepted it.
    :param limits: category to the end of its rate limit, as this answer states them.
    :param not_before: the earliest moment at which Sentry wants the next attempt.
    """

    kind: Kind
    cause: str = ""
    status: int | None = None
    upstream_id: str | None = None
    limits: Mapping[str, datetime] = field(default_factory=dict)
    not_before: datetime | None = None


@dataclass(frozen=True)
class Backoff:
    """Full jitter: a random wait up to a limit that doubles with every failure, in seconds.

    Source: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/.
    """

    base_s: float = 1.0
    max_s: float = 300.0

    def wait(self, failures: int) -> timedelta:
        """Return how long to wait after this number of failures in a row, at least a tenth of the
        base.
        """
        ceiling = min(self.max_s, self.base_s * 2 ** min(max(failures, 1) - 1, 30))
        return timedelta(seconds=max(self.base_s / 10, random.uniform(0, ceiling)))  # noqa: S311


def judge(result: Answer | Failure, now: datetime) -> Decision:
    """Return what a result means for its envelope. The decision is never to drop the envelope."""
    if isinstance(result, Failure):
        return Decision("retry", result.cause)
    status = result.status
    limits = parse_rate_limits(result.headers.get("x-sentry-rate-limits", ""), now)
    if 200 <= status < 300:
        return _taken(result, limits)
    if status in _REFUSALS:
        return Decision("refused", _with_words(_REFUSALS[status], result), status)
    if status == 429:
        return _limited(result, limits, now)
    cause = _with_words(f"{status}: {_meaning(status)}", result)
    if 400 <= status < 500 and status not in _RETRIED:
        return Decision("parked", cause, status)
    not_before = parse_retry_after(result.headers.get("retry-after", ""), now)
    return Decision("retry", cause, status, limits=limits, not_before=not_before)


def _taken(answer: Answer, limits: Mapping[str, datetime]) -> Decision:
    content = _json(answer.body)
    if not isinstance(content, dict):
        cause = f"what answered {answer.status} with {page_kind(answer)} is no Sentry"
        return Decision("retry", cause, answer.status)
    upstream_id = parse_event_id(content.get("id"))
    return Decision("delivered", "", answer.status, upstream_id, limits)


def _limited(answer: Answer, limits: Mapping[str, datetime], now: datetime) -> Decision:
    if not limits:
        until = parse_retry_after(answer.headers.get("retry-after", ""), now)
        limits = {EVERYTHING: until or now + DEFAULT_LIMIT}
    not_before = max(limits.values())
    cause = _with_words(f"429: Sentry asked to wait until {clock(not_before)}", answer)
    return Decision("retry", cause, 429, limits=limits, not_before=not_before)


def _meaning(status: int) -> str:
    if 300 <= status < 400:
        return "redirected, which is not followed"
    generic = "Sentry refuses the envelope" if status < 500 else "Sentry failed"
    return _MEANINGS.get(status, generic)


def _with_words(cause: str, answer: Answer) -> str:
    line = words_of(answer)
    return f"{cause} ({line})" if line else cause


def words_of(answer: Answer) -> str:
    """Return the error text of Sentry's answer, or the target of a redirect, as one short line."""
    content = _json(answer.body)
    detail = content.get("detail") if isinstance(content, dict) else None
    said = answer.headers.get("x-sentry-error") or detail
    if 300 <= answer.status < 400:
        # Leave out the query, which may contain a secret.
        said = answer.headers.get("location", "").partition("?")[0]
    text = " ".join(clean_text(str(said or "")).split())[:MAX_LENGTH]
    return "".join(letter for letter in text if letter.isprintable())


def page_kind(answer: Answer) -> str:
    """Return in words what kind of body came instead of Sentry's JSON."""
    return "an HTML page" if answer.body.lstrip().startswith(b"<") else "no JSON"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def clock(moment: datetime) -> str:
    """Return a moment as text for a cause."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
