"""The states of an envelope on its way to Sentry."""

from __future__ import annotations

from enum import StrEnum


class EnvelopeState(StrEnum):
    """The word that is stored, counted and shown.

    ``local`` stays here; ``pending`` and ``retry`` are to be sent; ``parked`` was refused, and
    ``expired`` became too old: a person may replay both. ``discarded`` is not sent on purpose.
    """

    LOCAL = "local"
    PENDING = "pending"
    RETRY = "retry"
    DELIVERED = "delivered"
    PARKED = "parked"
    EXPIRED = "expired"
    DISCARDED = "discarded"


WAITING = (EnvelopeState.PENDING, EnvelopeState.RETRY)
