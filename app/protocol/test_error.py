"""Test errors: how an event says that a person sent it to see whether monitoring works.

A test error has the tag ``test:true``, for people, and a part of its fingerprint, which makes it an
issue of its own. The tag alone does not decide: programs use it for events of their own, which
would share an issue with real errors. A program that sends both hides its own issue from figures,
and nothing else.
"""

from __future__ import annotations

from app.protocol.event import Event

TAG = "test"
TAG_VALUE = "true"
FINGERPRINT_PART = "devenviro test error"
# The part as it stands in the key of a grouping.
_LINE = f"\n- {FINGERPRINT_PART}"


def fingerprint_of_test(event_id: str | None = None) -> list[str]:
    """Return the fingerprint of a test error.

    :param event_id: for an issue of its own; without it, equal test errors share an issue.
    """
    own = [event_id] if event_id else []
    return ["{{ default }}", FINGERPRINT_PART, *own]


def is_test_key(key: str) -> bool:
    """Return whether a grouping key is that of a test error."""
    return key.startswith("fingerprint\n") and _LINE in key


def is_test_error(event: Event, key: str) -> bool:
    """Return whether an event is a test error.

    :param key: its grouping key. If a rule gave the event another fingerprint, it is in an issue
        with other events, and counts like them.
    """
    return event.tags.get(TAG) == TAG_VALUE and is_test_key(key)
