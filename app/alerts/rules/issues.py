"""Rules about new issues and about issues that are back. :mod:`app.alerts.issue_alerts` raises them
when they happen.
"""

from __future__ import annotations

from typing import ClassVar

from app.alerts.messages import cut
from app.alerts.naming import BACK, NamedIssue
from app.alerts.rules.kind import ALL_FILTERS, KINDS, Preset, RuleKind
from app.alerts.rules.stored import AlertRule


@KINDS.register("new_issue", "New issue", position=10)
class NewIssue(RuleKind):
    """Raises a notification for an error that was not seen before."""

    summary = "An error is seen for the first time."
    transitions: ClassVar[tuple[str, ...]] = ("first_seen",)
    filters = ALL_FILTERS
    # One notification a minute: what a deploy brings later is not held for long.
    cooldown_minutes = 1
    preset = Preset("new_errors", "New error types", {"level": "error"})


@KINDS.register("regression", "Regression", position=11)
class Regression(NewIssue):
    """Raises a notification for a resolved issue that was seen again, or an ignored issue whose
    condition holds.
    """

    summary = "A resolved issue comes back, or the ignoring of an issue ends by itself."
    transitions = BACK
    many_issues = "issues are back"
    preset = Preset("regressions", "Regressions")

    def title_of(self, rule: AlertRule, issue: NamedIssue) -> str:
        """Return the issue's title, with who had resolved or ignored the issue, and when."""
        back = f" ({issue.back})" if issue.back else ""
        # Cut the title itself, so that the end is not cut later.
        return f"Back: {cut(issue.title, 300 - len(back) - 6)}{back}"
