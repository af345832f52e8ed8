"""The rule about frequency: issues with many events within a window, counted exactly."""

from __future__ import annotations

import functools
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, func, select

from app.alerts.naming import Match
from app.alerts.rules.cooldown import cooling_issues
from app.alerts.rules.kind import ALL_FILTERS, KINDS, Question, Reading, RuleKind, Threshold
from app.alerts.rules.stored import Watch
from app.events.tables import events
from app.issues.tables import issue_hours, issues
from app.stats.windows import hour_number

# How many of an issue's newest events are read if a rule filters by a value that only events have.
# Without such a filter, no more events than the threshold are read.
MAX_LOOKED_AT = 10_000
# The most issues that are read for a window, the busiest first: more than can be busy.
MAX_BUSY = 20_000
# The most issues that match in one run, the busiest first. Issues that were in a notification are
# left out of the next run. Until this limit is reached, one query counts the events of each issue
# that may have enough: at most MAX_BUSY queries. Together they read no more events than the project
# received in the hours that the window touches. A query takes 0.12 ms of CPU if its statement is
# built once, and 1.05 ms otherwise (SQLite, 2,000 issues of ten events). A run of 20,000 queries
# takes about three seconds, in a transaction that only reads.
MAX_MATCHES = 500
_OFTEN = "{rule.threshold:,.0f} events or more within {rule.window_minutes} minutes"


@KINDS.register("frequency", "Frequency", position=20)
class Frequency(RuleKind):
    """Finds issues with many events within a window.

    The hourly counts show which issues may have enough events: the hours that the window touches
    contain at least the events of the window. Then the events are counted for the issues that the
    rule is about and that are not in their cool-down.
    """

    summary = "An issue has so many events within the window."
    threshold = Threshold(100, "events", "{:,.0f} events of one issue", highest=10_000, lowest=2)
    window_minutes = 60
    filters = ALL_FILTERS
    one_issue = f"{_OFTEN}: {{issue.title}}"
    many_issues = f"issues with {_OFTEN}"
    # Each issue has its own cool-down.
    next_notice = "The same again"

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Count the events of each issue within the window."""
        window, needed = rule.window_minutes or 0, int(rule.threshold or 0)
        since = question.now - timedelta(minutes=window)
        told, fresh = _candidates(rule, since, needed, question)
        most, matches = 0, []
        for issue in fresh:
            count, last = _count_since(question.conn, rule, issue, since, needed)
            most = max(most, count)
            if count >= needed:
                matches.append(_match(question.conn, issue.id, last))
            if len(matches) == MAX_MATCHES:
                break
        times = f"{needed:,} events or more within {window} minutes"
        if matches:
            many = f"{len(matches):,} issues have" if len(matches) > 1 else "An issue has"
            return Reading(most, True, f"{many} {times}.", issues=tuple(matches))
        for issue in told:
            count, _ = _count_since(question.conn, rule, issue, since, needed)
            if count >= needed:
                return Reading(count, True, f"An issue has {times}, and was in a notification.")
        return Reading(most, False, f"No issue has {needed:,} events within {window} minutes.")


def _candidates(
    rule: Watch, since: datetime, needed: int, question: Question
) -> tuple[list[Any], list[Any]]:
    """Return issues that may have enough events: those in their cool-down, and the others."""
    busy = _busy_issues(rule.project_id, since, question)
    enough = [one for one in busy if one.events >= needed]
    if not enough:
        return [], []
    wanted = [one for one in enough if rule.is_about(one.level, one.type, one.title)]
    cooling = cooling_issues(question.conn, rule, question.now)
    told = [one for one in wanted if one.id in cooling]
    fresh = [one for one in wanted if one.id not in cooling]
    return told, fresh


def _match(conn: Connection, issue_id: int, row_id: int | None) -> Match:
    columns = events.c.event_id, events.c.environment, events.c.release
    row = conn.execute(select(*columns).where(events.c.id == row_id)).first()
    return Match(issue_id, *row) if row else Match(issue_id)


def _busy_issues(project_id: int, since: datetime, question: Question) -> list[Any]:
    first = hour_number(since)
    total = func.sum(issue_hours.c.received).label("events")

    def ask() -> list[Any]:
        query = (
            select(
                issues.c.id, issues.c.title, issues.c.type, issues.c.level, issues.c.status, total
            )
            .join(issues, issues.c.id == issue_hours.c.issue_id)
            .where(issue_hours.c.hour >= first, issues.c.project_id == project_id)
            .where(issues.c.status.in_(("unresolved", "resolved")), issues.c.is_test.is_(False))
            .group_by(issues.c.id, issues.c.title, issues.c.type, issues.c.level, issues.c.status)
            .having(total >= Frequency.threshold.lowest)
            .order_by(total.desc(), issues.c.id)
            .limit(MAX_BUSY)
        )
        return list(question.conn.execute(query))

    found: list[Any] = question.once(("busy", project_id, first), ask)
    return found


def _count_since(
    conn: Connection, rule: Watch, issue: Any, since: datetime, needed: int
) -> tuple[int, int | None]:
    """Return how many of an issue's newest events a rule counts, and the row id of the last one.

    :param issue: from :func:`_busy_issues`. The window contains at most its ``events``.
    """
    wanted = rule.filters
    is_narrowed = not {"environment", "release"}.isdisjoint(wanted)
    asked = {
        "issue_id": issue.id,
        "since": since,
        "at_most": min(int(issue.events), MAX_LOOKED_AT) if is_narrowed else needed,
    }
    if "environment" in wanted:
        asked["environment"] = wanted["environment"]
    found = conn.execute(_counted_by_release("environment" in asked), asked)
    rows = [row for row in found if rule.matches("release", row[0])]
    return sum(row[1] for row in rows), max((row[2] for row in rows), default=None)


@functools.cache
def _counted_by_release(of_environment: bool) -> Any:
    """Return the statement that counts an issue's newest events. It is cached, because building it
    takes longer than executing it.
    """
    newest = (
        select(events.c.id, events.c.stored_at, events.c.environment, events.c.release)
        .where(events.c.issue_id == bindparam("issue_id"))
        .order_by(events.c.id.desc())
        .limit(bindparam("at_most", type_=Integer()))
        .subquery()
    )
    query = select(newest.c.release, func.count(), func.max(newest.c.id))
    query = query.where(newest.c.stored_at > bindparam("since")).group_by(newest.c.release)
    if of_environment:
        query = query.where(newest.c.environment == bindparam("environment"))
    return query
