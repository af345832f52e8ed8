"""The rule about spikes: more events in this hour than is usual for this hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import func, select

from app.alerts.rules.kind import KINDS, Preset, Question, Reading, RuleKind, Threshold
from app.alerts.rules.stored import Watch
from app.issues.tables import issue_hours, issues
from app.projects import projects
from app.stats.windows import hour_number

# How many days before are compared, at the same hour. They define what is usual.
DAYS = 7


@KINDS.register("spike", "Spike", position=30)
class Spike(RuleKind):
    """Compares this hour's events with the median of the same hour on the days before."""

    summary = "The events of this hour are so many times what is usual for it."
    threshold = Threshold(
        3, "times the usual", "{:g} times the usual of the hour", highest=1000, lowest=1.1
    )
    minimum = 20
    counted = "events"
    filters = ("level",)
    preset = Preset("spike", "Spikes")

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Compare this hour's events with the median of the same hour on the days before."""
        hour = question.now.replace(minute=0, second=0, microsecond=0)
        born = select(projects.c.created_at).where(projects.c.id == rule.project_id)
        days = min(DAYS, (hour - question.conn.execute(born).scalar_one()) // timedelta(days=1))
        if days < 1:
            return Reading(None, False, "No data yet: what is usual is known after a day.")
        counts = counts_by_hour(hour, rule.levels, question)
        count = counts.get((rule.project_id, hour), 0)
        before = [
            counts.get((rule.project_id, hour - timedelta(days=day)), 0)
            for day in range(1, days + 1)
        ]
        usual = float(median(before))
        limit = max(float(rule.minimum or 0), usual * (rule.threshold or 1))
        detail = f"{count:,} events this hour, usually {usual:,.0f}; told from {limit:,.0f} on."
        title = f"Spike: {count:,} events this hour, usually {usual:,.0f}"
        return Reading(count, count >= limit and count > usual, detail, title)


def counts_by_hour(
    hour: datetime, levels: tuple[str, ...], question: Question
) -> dict[tuple[int, datetime], int]:
    """Return the number of events that each project received in an hour, and in the same hour on
    the days before.
    """
    hours = {hour_number(moment): moment for moment in _same_hours(hour)}

    def ask() -> dict[tuple[int, datetime], int]:
        total = func.sum(issue_hours.c.received)
        query = (
            select(issues.c.project_id, issue_hours.c.hour, total)
            .join(issues, issues.c.id == issue_hours.c.issue_id)
            .where(issue_hours.c.hour.in_(hours), issues.c.level.in_(levels))
            .where(issues.c.status.in_(("unresolved", "resolved")), issues.c.is_test.is_(False))
            .group_by(issues.c.project_id, issue_hours.c.hour)
        )
        found = question.conn.execute(query)
        return {(project, hours[number]): int(events) for project, number, events in found}

    found: dict[tuple[int, datetime], int] = question.once(("hours", hour, levels), ask)
    return found


def _same_hours(hour: datetime) -> list[datetime]:
    return [hour - timedelta(days=day) for day in range(DAYS + 1)]
