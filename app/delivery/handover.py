"""The way to Sentry until the outbox replaces it: the SDK's own HTTP transport, after the commit.

It sends from its queue and forgets what Sentry refuses. Nothing is lost here all the same: the
envelope is in the store, ``pending``.
"""

from __future__ import annotations

import gzip
import json
import logging
import random
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from sentry_sdk.consts import EndpointType
from sentry_sdk.transport import HttpTransport
from sentry_sdk.utils import capture_internal_exceptions

# A sixth of the CPU of the SDK's level 9, for an eighth more bytes (a 20 KB event).
GZIP_LEVEL = 1

log = logging.getLogger("app.tracker")


class Decision(NamedTuple):
    """What an envelope's row starts with."""

    state: str
    reason: str | None = None


class Delivery(Protocol):
    """Where accepted envelopes go."""

    def decide(self, *, is_error: bool) -> Decision:
        """Return the state an envelope enters the books with."""

    def hand_over(self, body: bytes) -> None:
        """Send an envelope that is on the disk; never raises."""

    def flush(self, timeout_s: float) -> None:
        """Wait for what is being sent."""


class NullDelivery:
    """No destination: what is accepted stays local."""

    def decide(self, *, is_error: bool) -> Decision:
        """Keep it here."""
        return Decision("local")

    def hand_over(self, body: bytes) -> None:
        """Do nothing."""

    def flush(self, timeout_s: float) -> None:
        """Do nothing."""


class _BytesTransport(HttpTransport):
    """Sends what is stored as it is, without taking it apart and putting it together again."""

    def send_bytes(self, body: bytes) -> None:
        self._worker.submit(lambda: self._post(body))

    def _post(self, body: bytes) -> None:
        if self._check_disabled("error"):
            return
        headers, _, items = body.partition(b"\n")
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = json.dumps({**json.loads(headers), "sent_at": now}).encode()
        with capture_internal_exceptions():
            self._send_request(
                gzip.compress(line + b"\n" + items, GZIP_LEVEL),
                {
                    "Content-Type": "application/x-sentry-envelope",
                    "Content-Encoding": "gzip",
                },
                EndpointType.ENVELOPE,
            )


class SdkDelivery:
    """Hands envelopes to the SDK's HTTP transport.

    :param options: the client's resolved options, with a ``dsn``.
    :param sample_rate: the share of errors to send; the others are recorded as discarded.
    """

    def __init__(self, options: dict[str, Any], sample_rate: float) -> None:
        self._sample_rate = sample_rate
        self._transport = _BytesTransport(options)

    def decide(self, *, is_error: bool) -> Decision:
        """Sample errors; what is sampled out is stored all the same."""
        if is_error and random.random() >= self._sample_rate:  # noqa: S311 -- no secret
            return Decision("discarded", "sample_rate")
        return Decision("pending")

    def hand_over(self, body: bytes) -> None:
        """Queue an envelope for sending."""
        try:
            self._transport.send_bytes(body)
        except Exception:
            log.exception("an envelope could not be handed to the SDK's transport")

    def flush(self, timeout_s: float) -> None:
        """Wait until the queue is empty."""
        self._transport.flush(timeout_s)
