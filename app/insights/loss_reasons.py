"""Why clients lose events, or leave them out: each reason in words, and what to do about it.

Source: https://develop.sentry.dev/sdk/telemetry/client-reports/, 2026-11-28.
"""

from __future__ import annotations

from typing import NamedTuple

from app.projects.quotas import REASONS, REFUSAL_WORDS
from app.stats.losses import REFUSED


class Meaning(NamedTuple):
    """What a reason means.

    :param words: the reason as a sentence.
    :param remedy: what to do about it, as a sentence.
    :param is_intended: whether the client leaves the items out by its settings or its code.
    """

    words: str
    remedy: str
    is_intended: bool = False


_QUEUE = (
    "Raise the queue as the set-up lines of the project do (Python: transport_queue_size=1000)."
)
_BY_SETTINGS = "Nothing to do: the program's own settings or code decide this."
_NETWORK = (
    "See that this service is reachable from where the program runs, and that no proxy or firewall"
    " is in between."
)
_OF_CLIENTS = {
    "queue_overflow": Meaning("The SDK's queue was full when a burst came.", _QUEUE),
    "cache_overflow": Meaning(
        "The SDK's cache on the device was full.",
        "Raise the size of the cache in the SDK's options, or let the device go online more often.",
    ),
    "buffer_overflow": Meaning(
        "A buffer of the SDK was full, for example that of logs or spans.", _QUEUE
    ),
    "ratelimit_backoff": Meaning(
        "The SDK waited after an answer 429 and dropped what came meanwhile.",
        "Raise the project's quota; the part on refusals shows whether that was the cause.",
    ),
    "network_error": Meaning("The SDK could not reach this service.", _NETWORK),
    "send_error": Meaning(
        "The service answered with an error, so the SDK dropped the envelope.",
        "Look at the refusals on this page, and at the log for answers 503.",
    ),
    "internal_sdk_error": Meaning(
        "The SDK failed while it made or sent the event.",
        "Update the SDK; its debug option logs the error.",
    ),
    "insufficient_data": Meaning(
        "A profile or span had too little data to be useful.", "Update the SDK if there are many."
    ),
    "backpressure": Meaning(
        "The SDK sampled less because its queue was nearly full.",
        f"{_QUEUE} Or lower traces_sample_rate.",
    ),
    "invalid": Meaning(
        "The SDK found the item invalid.", "Update the SDK; its debug option logs it."
    ),
    "sample_rate": Meaning(
        "The program's sample rate left these out, as intended.",
        "Nothing to do. If errors are sampled here instead (SENTRY_SAMPLE_RATE), all are counted.",
        True,
    ),
    "before_send": Meaning("The program's before_send dropped these.", _BY_SETTINGS, True),
    "event_processor": Meaning("An event processor dropped these.", _BY_SETTINGS, True),
    "ignored": Meaning("The SDK's settings ignore these.", _BY_SETTINGS, True),
    "filtered": Meaning("A filter of the SDK dropped these.", _BY_SETTINGS, True),
    "no_parent_span": Meaning(
        "A span without a parent was not started, as the SDK's settings ask.", _BY_SETTINGS, True
    ),
}
_REMEDIES = {
    "malformed": "The answer names the fault: mend the call of curl, or update the SDK."
    " A proxy that changes bodies has the same effect.",
    "no_key": "Copy the whole DSN from the page of the project.",
    "unknown_key": "Copy a valid DSN from the page of the project. The old key may be revoked.",
    "key_of_another_project": "Copy the whole DSN again: its key and project do not fit.",
    "credentials_disagree": "Set one DSN only; a tunnel must not add the key of another one.",
    "too_large": "Send less in one event: smaller attachments, shorter lists and texts.",
    "quota": "Raise the project's quota, or find the program that sends so much.",
    "store_full": "Raise MAX_STORE_BYTES, shorten the retention, or see why Sentry takes nothing.",
}
_OF_DOOR = {reason: Meaning(f"{REFUSAL_WORDS[reason]}.", _REMEDIES[reason]) for reason in REASONS}
_UNKNOWN = Meaning(
    "This service does not know the reason.", "The documentation of the SDK may explain it."
)
INTENDED = frozenset(reason for reason, one in _OF_CLIENTS.items() if one.is_intended)


def meaning_of(source: str, reason: str) -> Meaning:
    """Return what a reason means.

    :param source: who counted it, see :mod:`app.stats.losses`.
    """
    return (_OF_DOOR if source == REFUSED else _OF_CLIENTS).get(reason, _UNKNOWN)
