"""The way to Sentry until the outbox replaces it: the SDK's own HTTP transport, after the commit.

It sends once, from its queue, and does not try again. Nothing is lost all the same: what Sentry
did not accept is in the store, ``pending``, with the cause.
"""

from __future__ import annotations

import gzip
import json
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from sentry_sdk.consts import EndpointType
from sentry_sdk.transport import HttpTransport

from app.batching import Buffer
from app.db import Store
from app.delivery.settling import Outcome, settle

# A sixth of the CPU of the SDK's level 9, for an eighth more bytes (a 20 KB event).
GZIP_LEVEL = 1
HEADERS = {"Content-Type": "application/x-sentry-envelope", "Content-Encoding": "gzip"}

log = logging.getLogger("app.tracker")


class Decision(NamedTuple):
    """What an envelope's row starts with."""

    state: str
    reason: str | None = None


class Delivery(Protocol):
    """Where accepted envelopes go."""

    def decide(self, *, is_error: bool) -> Decision:
        """Return the state an envelope enters the books with."""

    def hand_over(self, uid: str, body: bytes) -> None:
        """Send an envelope that is on the disk; never raises."""

    def flush(self, timeout_s: float) -> None:
        """Wait for what is being sent."""

    def close(self) -> None:
        """End what runs in the background."""


class NullDelivery:
    """No destination: what is accepted stays local."""

    def decide(self, *, is_error: bool) -> Decision:
        """Keep it here."""
        return Decision("local")

    def hand_over(self, uid: str, body: bytes) -> None:
        """Do nothing."""

    def flush(self, timeout_s: float) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class _BytesTransport(HttpTransport):
    """Sends what is stored as it is, without taking it apart and putting it together again.

    :param settled: called with the outcome of every attempt.
    """

    def __init__(self, options: dict[str, Any], settled: Callable[[Outcome], object]) -> None:
        super().__init__(options)
        self._settled = settled

    def send_bytes(self, uid: str, body: bytes) -> None:
        if not self._worker.submit(lambda: self._settled(Outcome(uid, self._post(body)))):
            self._settled(Outcome(uid, "the SDK's queue was full"))

    def _post(self, body: bytes) -> str | None:
        """Send; return the cause if Sentry did not accept it."""
        if self._check_disabled("error"):
            return "Sentry asked to wait (rate limit)"
        try:
            data = gzip.compress(_with_sent_at(body), GZIP_LEVEL)
            headers = {**HEADERS}
            self._update_headers(headers)
            response = self._request("POST", EndpointType.ENVELOPE, data, headers)
        except Exception as error:
            return f"not reached: {type(error).__name__}"
        try:
            self._handle_response(response, None)
            return _refusal(response.status, response.data)
        finally:
            response.close()


def _with_sent_at(body: bytes) -> bytes:
    headers, _, items = body.partition(b"\n")
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({**json.loads(headers), "sent_at": now}).encode() + b"\n" + items


def _refusal(status: int, data: bytes) -> str | None:
    if not 200 <= status < 300:
        return f"Sentry answered {status}"
    try:
        accepted = isinstance(json.loads(data), dict)
    except ValueError:
        accepted = False
    return None if accepted else f"what answered {status} is no Sentry"


class SdkDelivery:
    """Hands envelopes to the SDK's HTTP transport.

    :param options: the client's resolved options, with a ``dsn``.
    :param store: where the outcomes go, within a second.
    :param sample_rate: the share of errors to send; the others are recorded as discarded.
    """

    def __init__(self, options: dict[str, Any], store: Store, sample_rate: float) -> None:
        self._store = store
        self._sample_rate = sample_rate
        self._outcomes: Buffer[Outcome] = Buffer(self._settle, limit=10_000, name="settling")
        self._transport = _BytesTransport(options, self._outcomes.offer)

    def _settle(self, outcomes: list[Outcome]) -> None:
        with self._store.write() as conn:
            settle(conn, outcomes)

    def decide(self, *, is_error: bool) -> Decision:
        """Sample errors; what is sampled out is stored all the same."""
        if is_error and random.random() >= self._sample_rate:  # noqa: S311 -- no secret
            return Decision("discarded", "sample_rate")
        return Decision("pending")

    def hand_over(self, uid: str, body: bytes) -> None:
        """Queue an envelope for sending."""
        try:
            self._transport.send_bytes(uid, body)
        except Exception:
            log.exception("an envelope could not be handed to the SDK's transport")

    def flush(self, timeout_s: float) -> None:
        """Wait until the queue is empty and its outcomes are written."""
        self._transport.flush(timeout_s)
        self._outcomes.flush()

    def close(self) -> None:
        """Write the outcomes and end the thread that does."""
        self._outcomes.close()
