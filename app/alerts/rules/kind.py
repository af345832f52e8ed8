"""The base class of rule kinds, and the objects that they measure with.

A measurement reads counters and a bounded number of other rows. So a run costs the same with a
million events as with a thousand. A query that several rules need is executed once in a run.
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
    """The parts that rules measure besides the store.

    :param folder: a folder on the disk that is measured.
    :param intake: for whether its store is full and whether it can be written.
    """

    destinations: Destinations
    folder: Path
    intake: Intake | None = None


@dataclass
class Question:
    """The context of one run of measurements. ``known`` keeps the results of earlier queries."""

    conn: Connection
    now: datetime
    parts: Parts
    known: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, ask: Callable[[], Any]) -> Any:
        """Return the result for a key. ``ask`` is called only the first time in a run."""
        if key not in self.known:
            self.known[key] = ask()
        return self.known[key]


class Reading(NamedTuple):
    """The result of a rule's measurement.

    :param value: ``None`` if there is no data.
    :param is_breach: whether the threshold is crossed.
    :param detail: the result in words. It is the text of the notification.
    :param title: of the notification.
    :param issues: the issues that the notification must name, if the rule measures single issues.
    """

    value: float | None
    is_breach: bool
    detail: str
    title: str = ""
    issue_id: int | None = None
    issues: tuple[Match, ...] = ()


class Threshold(NamedTuple):
    """The threshold of a kind.

    :param start: the default of a new rule, from ``lowest`` to ``highest``.
    :param words: in words when it is crossed, with ``{}`` for the number.
    """

    start: float
    unit: str
    words: str
    highest: float
    lowest: float = 0


class Preset(NamedTuple):
    """A recommended rule. It exists for all projects from the start."""

    name: str
    title: str
    filters: Mapping[str, str] = {}


class RuleKind(Kind):
    """A kind of rule.

    The class variables are the defaults of its rules. If one of them is ``None``, rules of this
    kind do not have this field.

    :cvar summary: when a notification is raised, in one sentence.
    :cvar minimum: the fewest ``counted`` (events, requests, sessions) for a notification.
    :cvar filters: the filters that its rules can have, some of :data:`ALL_FILTERS`.
    :cvar is_of_service: whether it watches the service as a whole. Only the service's own project
        has such rules.
    :cvar transitions: the transitions of an issue that raise a notification, for kinds that measure
        nothing.
    :cvar one_issue: the title of a notification about one issue.
    :cvar many_issues: the words after the number of issues in the title.
    :cvar next_notice: the words before "not before …", which names the end of the cool-down.
    :cvar tells_recovery: whether a notification says when the threshold is not crossed any more.
    :cvar rest_factor: after a measurement, wait this many times its duration.
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
    transitions: ClassVar[tuple[str, ...]] = ()
    one_issue: ClassVar[str] = "New issue: {issue.title}"
    many_issues: ClassVar[str] = "new issues"
    next_notice: ClassVar[str] = "Next message"
    tells_recovery: ClassVar[bool] = False
    rest_factor: ClassVar[int] = 0

    @property
    def unit(self) -> str:
        """The unit of the threshold, empty if there is no threshold."""
        return self.threshold.unit if self.threshold else ""

    def defaults(self) -> dict[str, Any]:
        """Return the default fields of a new rule."""
        return {
            "threshold": self.threshold.start if self.threshold else None,
            "minimum": self.minimum,
            "window_minutes": self.window_minutes,
            "cooldown_minutes": self.cooldown_minutes,
        }

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Return the result of a rule now. The default is no data, for kinds with transitions."""
        return Reading(None, False, "Told when it happens.")

    def sentence(self, rule: AlertRule) -> str:
        """Return in a few words when a rule raises a notification."""
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
