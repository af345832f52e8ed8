"""The way to Sentry until the outbox replaces it: the SDK's own HTTP transport, after the commit.

It sends from its queue and forgets what Sentry refuses. Nothing is lost here all the same: the
envelope is in the store, ``pending``.
"""

from __future__ import annotations

import logging
import random
from typing import Any, NamedTuple, Protocol

from sentry_sdk.envelope import Envelope as SdkEnvelope
from sentry_sdk.transport import HttpTransport

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


class SdkDelivery:
    """Hands envelopes to the SDK's HTTP transport.

    :param options: the client's resolved options, with a ``dsn``.
    :param sample_rate: the share of errors to send; the others are recorded as discarded.
    """

    def __init__(self, options: dict[str, Any], sample_rate: float) -> None:
        self._sample_rate = sample_rate
        self._transport = HttpTransport(options)

    def decide(self, *, is_error: bool) -> Decision:
        """Sample errors; what is sampled out is stored all the same."""
        if is_error and random.random() >= self._sample_rate:  # noqa: S311 -- no secret
            return Decision("discarded", "sample_rate")
        return Decision("pending")

    def hand_over(self, body: bytes) -> None:
        """Queue an envelope for sending."""
        try:
            self._transport.capture_envelope(SdkEnvelope.deserialize(body))
        except Exception:
            log.exception("an envelope could not be handed to the SDK's transport")

    def flush(self, timeout_s: float) -> None:
        """Wait until the queue is empty."""
        self._transport.flush(timeout_s)
