"""The plan of a demo: its projects, their bugs, and when each bug occurs. A seed decides it all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

DAYS = 90
PREFIX = "Demo "
PROJECTS: tuple[tuple[str, str], ...] = (
    ("Shop", "python"),
    ("Shop frontend", "javascript"),
    ("Billing", "python"),
    ("Mobile API", "go"),
    ("Warehouse", "java"),
    ("Search", "python"),
    ("Accounts", "node"),
    ("Mailer", "ruby"),
    ("Reports", "python"),
    ("Chat", "node"),
    ("Payments", "java"),
    ("Catalogue", "php"),
    ("Recommendations", "python"),
    ("Landing pages", "javascript"),
    ("Images", "go"),
    ("Imports", "python"),
    ("Admin", "php"),
    ("Gateway", "go"),
    ("Notifications", "ruby"),
    ("Scheduler", "python"),
)
# A type of error, what it says, and its level. {0} is a number of the occurrence.
ERRORS = (
    ("PaymentError", "the card of order {0} was refused: timed out after 30 s", "error"),
    ("TimeoutError", "no answer from inventory-{1} after 5000 ms", "error"),
    ("KeyError", "'price_{1}'", "error"),
    ("TypeError", "Cannot read properties of undefined (reading 'total')", "error"),
    ("ValueError", "invalid literal for int() with base 10: '{0}€'", "error"),
    ("ConnectionError", "connection to db-{1}.internal:5432 refused", "fatal"),
    ("IntegrityError", "duplicate key value violates unique constraint orders_{1}_pkey", "error"),
    ("PermissionDenied", "user {0} may not read invoice {0}", "warning"),
    ("OutOfMemoryError", "Java heap space", "fatal"),
    ("RangeError", "Maximum call stack size exceeded", "error"),
    ("NoMethodError", "undefined method `name' for nil:NilClass", "error"),
    ("ValidationError", "3 validation errors for Order: quantity, price, currency", "warning"),
    ("HTTPError", "502 Bad Gateway for url: https://carrier-{1}.example/label", "error"),
    ("DeadlockDetected", "process {0} waits for ShareLock on transaction {0}", "error"),
    ("FileNotFoundError", "No such file or directory: '/var/exports/{0}.csv'", "error"),
    ("DeprecationWarning", "the field amount is deprecated, use amount_minor", "info"),
)
VERBS = ("charge", "reserve", "refund", "ship", "render", "import", "export", "sign_in", "notify")
NOUNS = ("order", "cart", "invoice", "label", "product", "session", "report", "message", "price")
# How a bug comes and goes.
SHAPES = ("steady", "steady", "office hours", "spike", "since release", "until fixed", "rare")


@dataclass(frozen=True)
class Bug:
    """A bug: every occurrence of it belongs to one issue.

    :param weight: how often it occurs, compared with other bugs.
    :param begins: and ``ends``: days since the beginning of the demo.
    :param cause: the number of another error that caused it, if there is one.
    """

    number: int
    project: int
    error: int
    verb: str
    noun: str
    weight: float
    shape: str
    begins: float
    ends: float
    cause: int | None = None

    @property
    def function(self) -> str:
        """The function in which it happens."""
        return f"{self.verb}_{self.noun}"


@dataclass(frozen=True)
class Occurrence:
    """An occurrence of a bug; ``day`` counts from the beginning of the demo."""

    bug: Bug
    day: float
    number: int


@dataclass
class Plan:
    """The plan of a demo.

    :param events: how many events there are.
    """

    events: int
    bugs: int = 500
    projects: int = len(PROJECTS)
    seed: int = 1
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Begin the sequence of chances."""
        self._chance = random.Random(self.seed)  # noqa: S311 -- a demo, not a secret

    def occurrences(self) -> Iterator[Occurrence]:
        """Yield all occurrences, the oldest first."""
        bugs = [self._bug(number) for number in range(self.bugs)]
        # Every bug occurs at least once, as far as there are events.
        chosen = bugs[: self.events]
        weights = [bug.weight for bug in bugs]
        chosen += self._chance.choices(bugs, weights, k=self.events - len(chosen))
        days = sorted((self._day(bug), number, bug) for number, bug in enumerate(chosen))
        for number, (day, _, bug) in enumerate(days):
            yield Occurrence(bug, day, number)

    def _bug(self, number: int) -> Bug:
        chance = self._chance
        # The square gives a few projects most of the bugs, and a few bugs most of the events.
        project = number if number < self.projects else int(self.projects * chance.random() ** 2)
        shape = chance.choice(SHAPES)
        begins, ends = self._life(shape)
        return Bug(
            number,
            project,
            chance.randrange(len(ERRORS)),
            chance.choice(VERBS),
            f"{chance.choice(NOUNS)}_{number}",
            (0.02 if shape == "rare" else 1) / (1 + chance.random() * self.bugs),
            shape,
            begins,
            ends,
            chance.choice((None, None, chance.randrange(len(ERRORS)))),
        )

    def _life(self, shape: str) -> tuple[float, float]:
        at = DAYS * self._chance.random()
        if shape == "spike":
            return at, min(at + 0.3, DAYS)
        if shape == "since release":
            return max(at, DAYS - 20 * self._chance.random() - 0.2), DAYS
        return (0, max(at, 5)) if shape == "until fixed" else (0, DAYS)

    def _day(self, bug: Bug) -> float:
        day = bug.begins + (bug.ends - bug.begins) * self._chance.random()
        if bug.shape == "office hours":
            day = int(day) + (8 + 10 * self._chance.random()) / 24
        return min(day, DAYS - 0.0001)


def moment_of(occurrence: Occurrence, now: datetime) -> datetime:
    """Return when an occurrence happens, if the demo ends now."""
    return now - timedelta(days=DAYS - occurrence.day)
