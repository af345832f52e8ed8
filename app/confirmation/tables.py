"""Tables of this package: the events that are asked about, and whom to ask when."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, false

from app.store import UtcDateTime, metadata, partial_index


class State(StrEnum):
    """What is known about an event that Sentry accepted.

    ``unknown``: Sentry could not be asked in time, or it had said that it would drop the event.
    """

    OPEN = "open"
    CONFIRMED = "confirmed"
    MISSING = "missing"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """Why an event is asked about."""

    TEST = "test"
    FIRST = "first"
    SAMPLE = "sample"
    CANARY = "canary"


# The rows that are still asked about. The others only wait to be removed.
ASKED = "next_at IS NOT NULL"

confirmations = Table(
    "confirmations",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    # No foreign key: an event may be removed while Sentry is still asked, and a canary has no row.
    Column("event_id", String(32), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("accepted_at", UtcDateTime, nullable=False),
    # When Sentry is asked next; NULL when the answer is final.
    Column("next_at", UtcDateTime),
    # How many answers there were, and when the last one came.
    Column("asked", Integer, nullable=False),
    Column("asked_at", UtcDateTime),
    # When the event was confirmed, or was first called missing.
    Column("settled_at", UtcDateTime),
    # Why it may not be there, as Sentry said when it accepted it; or why it could not be asked.
    Column("reason", String(200)),
    # Sentry's issue, for the link.
    Column("group_id", String(32)),
    Index(None, "accepted_at", "project_id", "state"),
    partial_index("ix_confirmations_asked", "project_id", "next_at", where=ASKED),
)

# What is known about asking for a project.
confirmation_sources = Table(
    "confirmation_sources",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    # The DSN by which events are accepted, and since when.
    Column("dsn_hash", String(64), nullable=False),
    Column("since", UtcDateTime),
    # When an event was last chosen, and when a sample or a canary last was.
    Column("chosen_at", UtcDateTime, nullable=False),
    Column("sampled_at", UtcDateTime),
    # When the API last showed the project. Without that a 404 says nothing about an event.
    Column("checked_at", UtcDateTime),
    Column("needs_check", Boolean, nullable=False, server_default=false()),
    # Why the API cannot be asked about this project, and until when it is left alone.
    Column("cause", String(300)),
    Column("rests_until", UtcDateTime),
)

# An organization at an API: it gets one request a second, whichever process asks.
confirmation_apis = Table(
    "confirmation_apis",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("next_at", UtcDateTime, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("cause", String(300)),
)
