"""Rules about the limits of a project: new issues in an hour, and its quota."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from app.alerts.rules.kind import KINDS, Preset, Question, Reading, RuleKind
from app.alerts.rules.stored import Watch
from app.intake.refusals import refusals
from app.issues.overflow import latest_overflow
from app.projects import projects

# For how long a rule finds a limit that was reached. This is longer than evaluation may pause.
LIMIT_SHOWN = timedelta(hours=1)


@KINDS.register("new_issue_limit", "Limit of new issues", position=60)
class NewIssueLimit(RuleKind):
    """Checks whether a project reached ``MAX_NEW_ISSUES_PER_HOUR``."""

    summary = "A project made as many issues in an hour as it may; further ones are in <other>."
    cooldown_minutes = 1440
    preset = Preset("new_issue_limit", "Too many new issues")

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Return whether the limit was reached within the last hour."""
        found = latest_overflow(question.conn, rule.project_id, question.now - LIMIT_SHOWN)
        if found is None:
            return Reading(0, False, "The limit was not reached within an hour.")
        name = question.conn.scalar(select(projects.c.name).where(projects.c.id == rule.project_id))
        said = f"Project {name} had more than {found.over_limit:,} new issues in an hour"
        detail = f"{said}: further ones are in <other>."
        # A person who ignored the issue `<other>` wants no notification about it.
        is_news = found.status != "ignored"
        return Reading(1, is_news, detail, detail.rstrip("."), found.issue_id)


@KINDS.register("quota", "Quota", position=61)
class Quota(RuleKind):
    """Checks whether a project sends more than its quota."""

    summary = "A project sends more than its quota, and is refused."
    cooldown_minutes = 240
    preset = Preset("quota", "Over its quota")

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Return how many envelopes were refused within the last hour."""
        since = question.now - LIMIT_SHOWN
        lately = question.once("refusals", lambda: refusals(question.conn, since))
        for one in lately:
            if one.project_id == rule.project_id:
                return Reading(one.refused, True, f"{one.words}.", one.words)
        return Reading(0, False, "Nothing was refused within an hour.")
