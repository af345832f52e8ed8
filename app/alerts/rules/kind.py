"""What a kind of alert rule is, and what it measures with.

Every question reads what counters know and a bounded number of rows besides, so that a turn costs
the same with a million events as with a thousand; what several rules ask is asked once a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sqlalchemy import Connection

from app.alerts.naming import Match, NamedIssue
from app.alerts.registry import Kind, Registry
from app.delivery.destinations import Destinations
from app.intake import Intake

if TYPE_CHECKING:
    from app.alerts.rules.stored import AlertRule, Watch

ALL_FILTERS = ("level", "environment", "release", "type", "message")


@dataclass(frozen=True)
class Parts:
    """What there is to measure besides the store.

    :param folder: the disk it lies on is looked at.
    :param intake: its store is looked at: whether it is full, whether it can be written.
    """

    destinations: Destinations
    folder: Path
    intake: Intake | None = None


@dataclass
class Question:
    """One turn's look at the store; ``known`` keeps what was asked already."""

    conn: Connection
    now: datetime
    parts: Parts
    known: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, ask: Callable[[], Any]) -> Any:
        """Return what was found for a key in this turn, asking the first time."""
        if key not in self.known:
            self.known[key] = ask()
        return self.known[key]


class Reading(NamedTuple):
    """What a rule found.

    :param value: ``None``: nothing is known.
    :param title: of the notification; the detail is its text.
    :param issues: those that a notification has to name, where the rule looks at each by itself.
    """

    value: float | None
    is_breach: bool
    detail: str
    title: str = ""
    issue_id: int | None = None
    issues: tuple[Match, ...] = ()


class Threshold(NamedTuple):
    """A threshold of a kind.

    :param start: what a rule starts with, from ``lowest`` to ``highest``.
    :param words: when it is crossed, with ``{}`` for the number.
    """

    start: float
    unit: str
    words: str
    highest: float
    lowest: float = 0


class Preset(NamedTuple):
    """A recommended rule, of all projects from the start."""

    name: str
    title: str
    filters: Mapping[str, str] = {}


class RuleKind(Kind):
    """A kind of rule. Its rules have no field that is ``None`` here, and start with the others.

    :cvar summary: in one sentence, when a notification is raised.
    :cvar minimum: below so many ``counted`` (events, requests, sessions) nothing is raised.
    :cvar filters: how its rules can be narrowed, some of :data:`ALL_FILTERS`.
    :cvar is_of_service: it watches the service as a whole; only the service's own project has it.
    :cvar transition: what happens to an issue when a notification is raised, where nothing is
        measured.
    :cvar one_issue: the title of a notification about one issue; ``many_issues`` stands after a
        number.
    :cvar next_notice: what a notification about issues says is not before the end of the cool-down.
    :cvar rest_factor: after a measurement it waits so many times as long as that took.
    """

    summary: ClassVar[str]
    threshold: ClassVar[Threshold | None] = None
    window_minutes: ClassVar[int | None] = None
    minimum: ClassVar[int | None] = None
    counted: ClassVar[str] = ""
    filters: ClassVar[tuple[str, ...]] = ()
    cooldown_minutes: ClassVar[int] = 60
    preset: ClassVar[Preset | None] = None
    is_of_service: ClassVar[bool] = False
    transition: ClassVar[str | None] = None
    one_issue: ClassVar[str] = "New issue: {issue.title}"
    many_issues: ClassVar[str] = "new issues"
    next_notice: ClassVar[str] = "Next message"
    rest_factor: ClassVar[int] = 0

    @property
    def unit(self) -> str:
        """The unit of the threshold, empty where there is none."""
        return self.threshold.unit if self.threshold else ""

    def defaults(self) -> dict[str, Any]:
        """Return what a rule starts with."""
        return {
            "threshold": self.threshold.start if self.threshold else None,
            "minimum": self.minimum,
            "window_minutes": self.window_minutes,
            "cooldown_minutes": self.cooldown_minutes,
        }

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Return what a rule finds now; by default nothing, as where a transition raises it."""
        return Reading(None, False, "Told when it happens.")

    def sentence(self, rule: AlertRule) -> str:
        """Return when a rule raises a notification, in a few words."""
        parts = [self.threshold.words.format(rule.threshold)] if self.threshold else []
        if rule.window_minutes:
            parts.append(f"within {rule.window_minutes} minutes")
        if rule.minimum:
            parts.append(f"from {rule.minimum:,} {self.counted} on")
        for name, value in rule.filters.items():
            parts.append(f"{name} {value}{' or worse' if name == 'level' else ''}")
        return ", ".join(parts)

    def title_of(self, rule: AlertRule, issue: NamedIssue) -> str:
        """Return the title of a notification about one issue."""
        return self.one_issue.format(rule=rule, issue=issue)


KINDS = Registry[RuleKind]()
