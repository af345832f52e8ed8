"""What is measured: each kind of rule against what the store and the machine say.

Every question reads what counters know and a bounded number of rows besides, so that a turn costs
the same with a million events as with a thousand; what several rules ask is asked once a turn.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, bindparam, func, select, text

from app.alerts.figures import Figure, Figures
from app.alerts.kinds import KINDS
from app.alerts.naming import Match
from app.alerts.rules import Watch, cooling_issues
from app.delivery.accounting import accounting
from app.delivery.destinations import Destinations
from app.events.tables import OUTBOX, envelopes, events
from app.intake import Intake
from app.intake.refusals import refusals
from app.issues.overflow import latest_overflow
from app.issues.tables import issue_hours, issues
from app.projects import projects
from app.store.disks import fullest

HOUR = timedelta(hours=1)
# The same hour of so many days before is what is usual for it.
DAYS = 7
# Of an issue so many of the newest events are looked at, where a rule is narrowed by what only they
# know; without that no more than the threshold.
MAX_LOOKED_AT = 10_000
# Issues with more than one event within the window, the busiest first: more than can be busy.
MAX_BUSY = 20_000
# So many issues are found in a turn, the busiest first; which were told are left out of the next.
# Until then every issue that may have enough is asked, once: at most MAX_BUSY questions, which
# together read no more events than the project received in the hours that the window touches.
# A question takes 0.12 ms of CPU with its statement built once, 1.05 ms without (SQLite, 2,000
# issues of ten events): a turn of 20,000 some three seconds, in a transaction that only reads.
MAX_MATCHES = 500
# For so long a limit that was reached is what a rule finds: longer than evaluation may pause.
LIMIT_SHOWN = HOUR
# Live envelopes and first events; what a person replays may be as old as it is.
_PRIORITIES = (0, 1)


@dataclass(frozen=True)
class Parts:
    """What there is to measure besides the store.

    :param folder: the disk it lies on is looked at.
    :param intake: its store is looked at: whether it is full, whether it can be written.
    """

    destinations: Destinations
    folder: Path
    figures: Figures
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


def measure(rule: Watch, question: Question) -> Reading:
    """Return what a rule that measures finds now."""
    return _MEASURES[rule.kind](rule, question)


# ---- events -------------------------------------------------------------------------------------


def _frequency(rule: Watch, question: Question) -> Reading:
    """Count the events of each issue within the window, exactly.

    The counts by the hour say which issues may have enough: those of every hour that the window
    touches are at least those of the window. Of those that the rule is about, and has not told of
    lately, the events themselves are asked.
    """
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
            return Reading(count, True, f"An issue has {times}, and was told of.")
    return Reading(most, False, f"No issue has {needed:,} events within {window} minutes.")


def _candidates(
    rule: Watch, since: datetime, needed: int, question: Question
) -> tuple[list[Any], list[Any]]:
    """Return issues that may have enough events: those the rule told of lately, and the others."""
    busy = _busy_issues(rule.project_id, since, question)
    enough = [reading for reading in busy if reading.events >= needed]
    if not enough:
        return [], []
    wanted = [reading for reading in enough if _is_wanted(rule, reading)]
    cooling = cooling_issues(question.conn, rule, question.now)
    told = [reading for reading in wanted if reading.id in cooling]
    fresh = [reading for reading in wanted if reading.id not in cooling]
    return told, fresh


def _match(conn: Connection, issue_id: int, row_id: int | None) -> Match:
    columns = events.c.event_id, events.c.environment, events.c.release
    row = conn.execute(select(*columns).where(events.c.id == row_id)).first()
    return Match(issue_id, *row) if row else Match(issue_id)


def _busy_issues(project_id: int, since: datetime, question: Question) -> list[Any]:
    first = since.replace(minute=0, second=0, microsecond=0)
    total = func.sum(issue_hours.c.received).label("events")

    def ask() -> list[Any]:
        query = (
            select(
                issues.c.id, issues.c.title, issues.c.type, issues.c.level, issues.c.status, total
            )
            .join(issues, issues.c.id == issue_hours.c.issue_id)
            .where(issue_hours.c.hour >= first, issues.c.project_id == project_id)
            .where(issues.c.status.in_(("unresolved", "resolved")))
            .group_by(issues.c.id, issues.c.title, issues.c.type, issues.c.level, issues.c.status)
            .having(total >= KINDS["frequency"].lowest)
            .order_by(total.desc(), issues.c.id)
            .limit(MAX_BUSY)
        )
        return list(question.conn.execute(query))

    found: list[Any] = question.once(("busy", project_id, first), ask)
    return found


def _is_wanted(rule: Watch, issue: Any) -> bool:
    message = issue.title.removeprefix(f"{issue.type}: ")
    return (
        issue.level in rule.levels
        and rule.matches("type", issue.type)
        and rule.matches("message", issue.title, message)
    )


def _count_since(
    conn: Connection, rule: Watch, issue: Any, since: datetime, needed: int
) -> tuple[int, int | None]:
    """Return how many of an issue's newest events a rule counts, and the last one's row.

    :param issue: of :func:`_busy_issues`; no more ``events`` than it counts are of the window.
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
    """Return the statement that counts an issue's newest events; building it takes the longest."""
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


def _spike(rule: Watch, question: Question) -> Reading:
    """Hold this hour's events against the same hour of the days before: their median."""
    hour = question.now.replace(minute=0, second=0, microsecond=0)
    born = select(projects.c.created_at).where(projects.c.id == rule.project_id)
    days = min(DAYS, (hour - question.conn.execute(born).scalar_one()) // timedelta(days=1))
    if days < 1:
        return Reading(None, False, "No data yet: what is usual is known after a day.")
    counts = _counts_by_hour(hour, rule.levels, question)
    count = counts.get((rule.project_id, hour), 0)
    before = [
        counts.get((rule.project_id, hour - timedelta(days=day)), 0) for day in range(1, days + 1)
    ]
    usual = float(median(before))
    limit = max(float(rule.minimum or 0), usual * (rule.threshold or 1))
    detail = f"{count:,} events this hour, usually {usual:,.0f}; told from {limit:,.0f} on."
    title = f"Spike: {count:,} events this hour, usually {usual:,.0f}"
    return Reading(count, count >= limit and count > usual, detail, title)


def _counts_by_hour(
    hour: datetime, levels: tuple[str, ...], question: Question
) -> dict[tuple[int, datetime], int]:
    hours = [hour - timedelta(days=day) for day in range(DAYS + 1)]

    def ask() -> dict[tuple[int, datetime], int]:
        total = func.sum(issue_hours.c.received)
        query = (
            select(issues.c.project_id, issue_hours.c.hour, total)
            .join(issues, issues.c.id == issue_hours.c.issue_id)
            .where(issue_hours.c.hour.in_(hours), issues.c.level.in_(levels))
            .where(issues.c.status.in_(("unresolved", "resolved")))
            .group_by(issues.c.project_id, issue_hours.c.hour)
        )
        return {(row[0], row[1]): int(row[2]) for row in question.conn.execute(query)}

    found: dict[tuple[int, datetime], int] = question.once(("hours", hour, levels), ask)
    return found


# ---- requests and sessions ----------------------------------------------------------------------


def _error_rate(rule: Watch, question: Question) -> Reading:
    figure = question.parts.figures.error_rate(*_asked(rule, question))
    return _held_against(rule, figure, "Error rate of {value:.1f} %", above=True)


def _p95(rule: Watch, question: Question) -> Reading:
    figure = question.parts.figures.p95(*_asked(rule, question))
    return _held_against(rule, figure, "p95 of {value:,.0f} ms", above=True)


def _crash_free(rule: Watch, question: Question) -> Reading:
    figure = question.parts.figures.crash_free(*_asked(rule, question))
    return _held_against(rule, figure, "{value:.2f} % of sessions without a crash", above=False)


def _asked(rule: Watch, question: Question) -> tuple[Connection, int, datetime, datetime]:
    since = question.now - timedelta(minutes=rule.window_minutes or 0)
    return question.conn, rule.project_id, since, question.now


def _held_against(rule: Watch, figure: Figure | None, words: str, above: bool) -> Reading:
    of, minimum, threshold = rule.about.of, rule.minimum or 0, rule.threshold or 0.0
    if figure is None or figure.of == 0:
        return Reading(None, False, f"No data yet: no {of} within {rule.window_minutes} minutes.")
    said = words.format(value=figure.value)
    detail = f"{said} within {rule.window_minutes} minutes, of {figure.of:,} {of}."
    if figure.of < minimum:
        return Reading(None, False, f"{detail} Too few to tell: {minimum:,} are needed.")
    is_breach = figure.value > threshold if above else figure.value < threshold
    return Reading(figure.value, is_breach, detail, said)


# ---- the pipeline -------------------------------------------------------------------------------


def _outbox_age(rule: Watch, question: Question) -> Reading:
    oldest = [
        question.conn.scalar(
            select(envelopes.c.received_at)
            .where(text(OUTBOX), envelopes.c.project_id == rule.project_id)
            .where(envelopes.c.priority == priority)
            .order_by(envelopes.c.id)
            .limit(1)
        )
        for priority in _PRIORITIES
    ]
    since = min((moment for moment in oldest if moment is not None), default=None)
    if since is None:
        return Reading(0, False, "Nothing waits for Sentry.")
    minutes = _minutes(question.now - since)
    said = f"An envelope has waited for Sentry for {minutes:,.0f} minutes"
    return Reading(minutes, minutes >= (rule.threshold or 0), f"{said}.", said)


def _circuit_open(rule: Watch, question: Question) -> Reading:
    destination = question.parts.destinations.find(question.conn, rule.project_id)
    if destination.state(question.now) != "open" or destination.open_since is None:
        return Reading(0, False, "The circuit is closed.")
    minutes = _minutes(question.now - destination.open_since)
    said = f"Sentry has taken nothing for {minutes:,.0f} minutes"
    detail = f"{said}: {destination.cause or 'no cause is known'}."
    return Reading(minutes, minutes >= (rule.threshold or 0), detail, said)


# ---- limits -------------------------------------------------------------------------------------


def _new_issue_limit(rule: Watch, question: Question) -> Reading:
    found = latest_overflow(question.conn, rule.project_id, question.now - LIMIT_SHOWN)
    if found is None:
        return Reading(0, False, "The limit was not reached within an hour.")
    name = question.conn.scalar(select(projects.c.name).where(projects.c.id == rule.project_id))
    said = f"Project {name} had more than {found.over_limit:,} new issues in an hour"
    detail = f"{said}: further ones are in <other>."
    # Who ignores `<other>` has decided that they know of it.
    is_news = found.status != "ignored"
    return Reading(1, is_news, detail, detail.rstrip("."), found.issue_id)


def _quota(rule: Watch, question: Question) -> Reading:
    since = question.now - LIMIT_SHOWN
    lately = question.once("refusals", lambda: refusals(question.conn, since))
    for refusal in lately:
        if refusal.project_id == rule.project_id:
            return Reading(refusal.refused, True, f"{refusal.words}.", refusal.words)
    return Reading(0, False, "Nothing was refused within an hour.")


# ---- the machine --------------------------------------------------------------------------------


def _disk(rule: Watch, question: Question) -> Reading:
    folder, intake = question.parts.folder, question.parts.intake
    if intake is not None and intake.bound.state().is_full():
        said = "The store is full: it has reached MAX_STORE_BYTES, and what it holds waits"
        return Reading(0, True, f"{said} for delivery.", said)
    if intake is not None and intake.store.write_failed:
        said = "The store could not be written"
        return Reading(0, True, f"{said}: the log says why.", said)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    disk = fullest((existing, intake.emergency.path) if intake else (existing,))
    if disk.is_low:
        said = f"{100 * disk.free_share:.1f} % of a disk is free, of its bytes or its inodes"
        return Reading(100 * disk.free_share, True, f"{said}.", said)
    usage = shutil.disk_usage(existing)
    free = 100 * usage.free / usage.total
    said = f"{free:.1f} % of the disk is free"
    detail = f"{said}, {usage.free / 2**30:,.1f} GiB."
    return Reading(free, free < (rule.threshold or 0), detail, said)


def _accounting(rule: Watch, question: Question) -> Reading:
    totals = accounting(question.conn)
    if totals["balanced"]:
        return Reading(0, False, "The books balance.")
    said = "The books of envelopes do not balance"
    return Reading(1, True, f"{said}: the status page shows them.", said)


def _minutes(time: timedelta) -> float:
    return max(0.0, time / timedelta(minutes=1))


_MEASURES: dict[str, Callable[[Watch, Question], Reading]] = {
    "frequency": _frequency,
    "spike": _spike,
    "error_rate": _error_rate,
    "p95": _p95,
    "crash_free": _crash_free,
    "outbox_age": _outbox_age,
    "circuit_open": _circuit_open,
    "new_issue_limit": _new_issue_limit,
    "quota": _quota,
    "disk": _disk,
    "books": _accounting,
}
MEASURED = tuple(_MEASURES)
