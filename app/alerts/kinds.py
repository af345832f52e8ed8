"""What a rule can watch: its words, its unit, what it starts with, how it can be narrowed."""

from __future__ import annotations

from dataclasses import dataclass

ALL_FILTERS = ("level", "environment", "release", "type", "message")


@dataclass(frozen=True)
class Kind:
    """A kind of rule.

    :param words: what it is called; ``says`` in one sentence when a notification is raised.
    :param unit: of the threshold; empty where there is none.
    :param threshold: what it starts with; ``lowest`` and ``highest`` are what it may be.
    :param window_minutes: what it starts with; ``None`` where nothing is looked at over a time.
    :param minimum: below so many ``of`` (events, requests, sessions) nothing is said.
    :param cooldown_minutes: what it starts with.
    """

    words: str
    says: str
    unit: str = ""
    threshold: float | None = None
    lowest: float = 0
    highest: float = 0
    window_minutes: int | None = None
    minimum: int | None = None
    of: str = ""
    filters: tuple[str, ...] = ()
    cooldown_minutes: int = 60


KINDS = {
    "new_issue": Kind(
        "New issue",
        "An error is seen for the first time.",
        filters=ALL_FILTERS,
        cooldown_minutes=5,
    ),
    "regression": Kind(
        "Regression",
        "A resolved issue comes back.",
        filters=ALL_FILTERS,
        cooldown_minutes=5,
    ),
    "frequency": Kind(
        "Frequency",
        "An issue has so many events within the window.",
        unit="events",
        threshold=100,
        lowest=2,
        highest=10_000,
        window_minutes=60,
        filters=ALL_FILTERS,
    ),
    "spike": Kind(
        "Spike",
        "The events of this hour are so many times what is usual for it.",
        unit="times the usual",
        threshold=3,
        lowest=1.1,
        highest=1000,
        minimum=20,
        of="events",
        filters=("level",),
    ),
    "error_rate": Kind(
        "Error rate",
        "More of the requests fail.",
        unit="%",
        threshold=5,
        lowest=0,
        highest=100,
        window_minutes=15,
        minimum=20,
        of="requests",
    ),
    "p95": Kind(
        "Latency",
        "95 of 100 requests are faster, the others slower than this.",
        unit="ms",
        threshold=2000,
        lowest=1,
        highest=3_600_000,
        window_minutes=15,
        minimum=20,
        of="requests",
    ),
    "crash_free": Kind(
        "Crash-free sessions",
        "Fewer sessions end without a crash.",
        unit="%",
        threshold=99,
        lowest=0,
        highest=100,
        window_minutes=60,
        minimum=100,
        of="sessions",
    ),
    "outbox_age": Kind(
        "Outbox",
        "An envelope has waited so long for Sentry.",
        unit="minutes",
        threshold=15,
        lowest=1,
        highest=100_000,
        cooldown_minutes=240,
    ),
    "circuit_open": Kind(
        "Circuit",
        "Sentry has taken nothing for so long.",
        unit="minutes",
        threshold=5,
        lowest=0,
        highest=100_000,
        cooldown_minutes=240,
    ),
    "new_issue_limit": Kind(
        "Limit of new issues",
        "A project made as many issues in an hour as it may; further ones are in <other>.",
        cooldown_minutes=1440,
    ),
    "quota": Kind(
        "Quota",
        "A project sends more than its quota, and is refused.",
        cooldown_minutes=240,
    ),
    "disk": Kind(
        "Disk",
        "Less of the disk is free.",
        unit="%",
        threshold=10,
        lowest=0,
        highest=100,
        cooldown_minutes=240,
    ),
    "books": Kind("Books", "The books of envelopes do not balance.", cooldown_minutes=240),
}
# Told by what happens, not by a measure.
ISSUE_ALERTS = {"first_seen": "new_issue", "regressed": "regression"}
# Of the service as a whole: only the project that is this service has rules of them.
OF_THE_SERVICE = ("disk", "books")


@dataclass(frozen=True)
class Preset:
    """A recommended rule, of all projects from the start. ``is_own``: of this service's alone."""

    kind: str
    name: str
    level: str | None = None
    is_own: bool = False


PRESETS = {
    "new_errors": Preset("new_issue", "New error types", level="error"),
    "regressions": Preset("regression", "Regressions"),
    "spike": Preset("spike", "Spikes"),
    "error_rate": Preset("error_rate", "Error rate above 5 %"),
    "p95": Preset("p95", "p95 above 2 s"),
    "outbox_age": Preset("outbox_age", "Envelopes wait for Sentry"),
    "circuit_open": Preset("circuit_open", "Sentry takes nothing"),
    "new_issue_limit": Preset("new_issue_limit", "Too many new issues"),
    "quota": Preset("quota", "Over its quota"),
    "disk": Preset("disk", "The disk is nearly full", is_own=True),
    "books": Preset("books", "The books do not balance", is_own=True),
}
