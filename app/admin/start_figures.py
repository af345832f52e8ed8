"""The figures of the start page beside those of the range before, and what hurts most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from app.admin.filters import plural, users
from app.admin.sparkline import Sparkline, sparkline
from app.inputs.period import Range
from app.insights.performance import Rate
from app.insights.project_figures import Overview
from app.issues.figures import figures_of

SEVERE = ("error", "fatal")
# The issues whose users in the range are counted, those with most users in all; and the rows shown.
CANDIDATES, SHOWN = 100, 8


class Figure(NamedTuple):
    """A figure as the template draws it.

    :param change: against the range before, as ``▲ 12%``; empty if that is not known.
    :param tone: ``worse``, ``better`` or empty, for the colour.
    :param words: the change for those who do not see the arrow.
    """

    label: str
    number: str
    change: str
    tone: str
    words: str


class Met(NamedTuple):
    """An error and whom it met in the range."""

    issue: Row[Any]
    users: str
    events: int
    trend: Sparkline


def figure_line(overview: Overview) -> list[Figure]:
    """Return the figures of a range: events, users, new issues, and the rate of failed requests."""
    found = overview.figures
    before, new = found.before, found.new_issues
    return [
        _figure("Events", f"{found.events:,}", found.events, before and before.events),
        _figure("Users", _people(found), found.users, before and before.users),
        _figure(
            "New issues",
            f"{new.number:,}" + ("" if new.is_exact else "+"),
            new.number,
            before and before.new_issues.number,
        ),
        _error_rate(overview.rate, overview.rate_before),
    ]


def _error_rate(now: Rate, before: Rate | None) -> Figure:
    """Return the share of failed requests; without requests there is none."""
    if not now.requests:
        return Figure("Error rate", "–", "", "", "")
    number = f"{now.share:.1%}"
    if before is None or not before.requests:
        return Figure("Error rate", number, "", "", "")
    points = round(100 * (now.share - before.share), 1)
    if not points:
        return Figure("Error rate", number, "=", "", "as in the range before")
    words = f"percentage points {'more' if points > 0 else 'less'} than in the range before"
    change = f"{'▲' if points > 0 else '▼'} {abs(points):.1f}"
    tone = "worse" if points > 0 else "better"
    return Figure("Error rate", number, change, tone, f"{words}: {before.share:.1%}")


def most_users(conn: Connection, rows: Iterable[Row[Any]], chosen: Range) -> list[Met]:
    """Return the errors that most users met in a range.

    :param rows: open issues, those with most users in all first.
    """
    start = chosen.start
    severe = [row for row in rows if row.level in SEVERE]
    seen = [row for row in severe if start is None or row.last_seen >= start][:CANDIDATES]
    figures = figures_of(conn, [row.id for row in seen], chosen, known=seen)
    there = [row for row in seen if figures[row.id].events]
    there.sort(key=lambda row: (figures[row.id].users, figures[row.id].events), reverse=True)
    found = []
    for row in there[:SHOWN]:
        of_issue = figures[row.id]
        words = f"{plural(of_issue.events, 'event')} in the range"
        trend = sparkline(list(of_issue.trend))._replace(label=words)
        found.append(Met(row, _people(of_issue), of_issue.events, trend))
    return found


def _people(found: Any) -> str:
    return f"{'' if found.users_are_exact else '~'}{users(found.users)}"


def _figure(label: str, number: str, now: int, before: int | None) -> Figure:
    if before is None or now == before:
        words = "" if before is None else "as in the range before"
        return Figure(label, number, "" if before is None else "=", "", words)
    is_more = now > before
    share = f" {abs(now - before) / before:.0%}" if before else ""
    words = f"{'more' if is_more else 'fewer'} than in the range before: {before:,}"
    return Figure(
        label, number, f"{'▲' if is_more else '▼'}{share}", "worse" if is_more else "better", words
    )
