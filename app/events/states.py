"""The delivery states of an envelope."""

from __future__ import annotations

from enum import StrEnum


class EnvelopeState(StrEnum):
    """The delivery state of an envelope, as it is stored, counted and shown.

    ``local`` envelopes are not forwarded. ``pending`` and ``retry`` envelopes wait to be sent.
    ``parked`` envelopes were refused, ``expired`` ones became too old; a person can replay both.
    ``discarded`` envelopes are not sent on purpose. ``demo`` envelopes are made by `flask demo`:
    they are never sent, and are not in the accounting.
    """

    LOCAL = "local"
    PENDING = "pending"
    RETRY = "retry"
    DELIVERED = "delivered"
    PARKED = "parked"
    EXPIRED = "expired"
    DISCARDED = "discarded"
    DEMO = "demo"


WAITING = (EnvelopeState.PENDING, EnvelopeState.RETRY)
