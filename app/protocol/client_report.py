"""Client reports: how many items a client lost or left out before it could send them.

Source: https://develop.sentry.dev/sdk/telemetry/client-reports/, 2026-11-24.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_int, read_list, read_name

# The reasons that SDKs have.
REASONS = frozenset(
    (
        *("queue_overflow", "cache_overflow", "buffer_overflow", "ratelimit_backoff"),
        *("network_error", "send_error", "internal_sdk_error", "insufficient_data"),
        *("backpressure", "invalid", "sample_rate", "before_send", "event_processor"),
        *("ignored", "filtered", "no_parent_span"),
    )
)
# SDKs have about ten reasons and ten categories, so a real report has fewer entries.
MAX_LOSSES = 100
MAX_WORD = 64
# A larger number in one report is not plausible.
MAX_QUANTITY = 10**9
_NO_WORD_CHARACTER = re.compile(r"[^\w.-]", re.ASCII)


class Loss(NamedTuple):
    """The number of lost items of a category for a reason, in the words of the protocol."""

    reason: str
    category: str
    quantity: int


def read_losses(envelope: Envelope) -> list[Loss]:
    """Return the losses in the client reports of an envelope, without invalid entries."""
    losses: list[Loss] = []
    for item in envelope.items:
        if item.type == "client_report":
            losses += _losses(read_dict(item.payload).get("discarded_events"))
    return losses[:MAX_LOSSES]


def _losses(entries: Any) -> list[Loss]:
    read = [_loss(read_dict(entry)) for entry in read_list(entries)[:MAX_LOSSES]]
    return [loss for loss in read if loss]


def _loss(entry: dict[str, Any]) -> Loss | None:
    quantity = read_int(entry.get("quantity"))
    reason, category = _word(entry.get("reason")), _word(entry.get("category"))
    if quantity is None or not 0 < quantity <= MAX_QUANTITY or not reason:
        return None
    return Loss(reason, category or "default", quantity)


def _word(value: object) -> str:
    return _NO_WORD_CHARACTER.sub("_", read_name(value) or "")[:MAX_WORD]
