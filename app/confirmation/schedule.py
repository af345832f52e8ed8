"""When Sentry is asked about an event: soon, then ever more rarely, for two days."""

from __future__ import annotations

from datetime import datetime, timedelta

# Sentry needs some seconds to store what it accepted.
FIRST = timedelta(seconds=15)
# What Sentry does not show then is missing.
MISSING_AFTER = timedelta(minutes=15)
# A missing event may still come: a backlog behind Sentry's door is worked off.
GIVE_UP = timedelta(hours=48)


def next_at(accepted_at: datetime, now: datetime) -> datetime | None:
    """Return when an event is asked about again, ``None`` if it is given up.

    Without an event that is found: after 15 s, 1, 4 and 15 minutes, then twice as late each time.
    """
    age = now - accepted_at
    if age < MISSING_AFTER:
        return accepted_at + min(max(age * 4, FIRST), MISSING_AFTER)
    return accepted_at + age * 2 if age * 2 <= GIVE_UP else None


def is_missing(accepted_at: datetime, now: datetime) -> bool:
    """Return whether an event that Sentry does not show now is called missing."""
    return now - accepted_at >= MISSING_AFTER
