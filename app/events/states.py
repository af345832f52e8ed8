"""The delivery states of an envelope."""

from __future__ import annotations

from enum import StrEnum


class EnvelopeState(StrEnum):
    """The delivery state of an envelope, as it is stored, counted and shown.

    ``local`` envelopes are not forwarded. ``pending`` and ``retry`` envelopes wait to be sent.
    ``parked`` envelopes were refused, ``expired`` ones became too old; a person can replay both.
    ``discarded`` envelopes are not sent on purpose.
    """

    LOCAL = "local"
    PENDING = "pending"
    RETRY = "retry"
    DELIVERED = "delivered"
    PARKED = "parked"
    EXPIRED = "expired"
    DISCARDED = "discarded"


WAITING = (EnvelopeState.PENDING, EnvelopeState.RETRY)
