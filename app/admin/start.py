"""The start page: whether monitoring works."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from flask import render_template
from flask.typing import ResponseReturnValue

from app.admin import bp
from app.admin.filters import plural
from app.admin.header import Header, badge
from app.admin.lookups import count_since
from app.admin.sparkline import sparklines
from app.admin.trails import trail_of
from app.admin.trigger import TriggerForm
from app.alerts.reach import find_reach
from app.delivery.accounting import STATES, accounting
from app.delivery.upstreams import Upstream, list_upstreams, why_local
from app.events.filter import EventFilter
from app.events.queries import page_of_events
from app.intake.refusals import refusals
from app.issues.figures import hours_of
from app.issues.filter import IssueFilter
from app.issues.queries import count_matching, list_issues
from app.store import utc_now
from app.web import access
from app.web.current import current_config, current_destinations, current_intake, current_store
from app.web.delivery_status import follow
from config import Config

RECENT_ISSUES = 5
# How many projects that need attention the page names, and how many projects without a DSN. The
# list of projects has all of them.
SHOWN_PROJECTS = 5
OPEN = IssueFilter(status="unresolved")


class Verdict(NamedTuple):
    """Whether monitoring works, in words.

    :param tone: ``good``, ``bad``, or ``new`` (nothing is recorded yet, or Sentry has not accepted
        anything yet).
    :param sentences: each can be read alone.
    """

    tone: str
    headline: str
    sentences: list[str]


class Named(NamedTuple):
    """A project and a remark about it; ``words`` has no full stop."""

    project_id: int
    name: str
    words: str


class Term(NamedTuple):
    """One term of the equation of the accounting."""

    name: str
    envelopes: int


@bp.get("/")
@access.admin
def start() -> ResponseReturnValue:
    """Show whether monitoring works, the newest event and the latest issues."""
    with current_store().read() as conn:
        newest = page_of_events(conn, EventFilter(), limit=1).rows
        latest = follow(conn, newest[0].event_id) if newest else None
        totals = accounting(conn)
        ways = list_upstreams(conn, current_destinations(), utc_now())
        reach = find_reach(conn)
        refused = refusals(conn, utc_now() - timedelta(hours=24))
        figures = {
            "events": count_since(conn, utc_now() - timedelta(hours=24)),
            "issues": count_matching(conn, OPEN).number,
        }
        issues = list_issues(conn, OPEN, limit=RECENT_ISSUES)
        hours = hours_of(conn, [issue.id for issue in issues], utc_now())
    figures["store"] = current_store().size_bytes()
    figures["set_aside"] = current_intake().emergency.count()
    return render_template(
        "start.html",
        verdict=verdict(
            current_config(), totals, figures["set_aside"], ways, is_new=latest is None
        ),
        header=lambda: header_of(ways),
        troubled=named_troubles(ways),
        local=named_local(ways),
        shown=SHOWN_PROJECTS,
        refusals=refused,
        alert_reach=reach,
        latest=latest.stored.row if latest else None,
        trail=trail_of(newest[0].event_id, latest) if latest else None,
        totals=totals,
        terms=terms(totals, has_sentry=any(way.is_set_up for way in ways)),
        figures=figures,
        issues=issues,
        sparklines=sparklines(hours),
        form=TriggerForm(),
    )


def verdict(
    config: Config,
    totals: dict[str, Any],
    set_aside: int,
    ways: list[Upstream],
    *,
    is_new: bool,
) -> Verdict:
    """Return whether monitoring works, in words.

    :param set_aside: how many events are in the emergency folder.
    :param ways: the upstream of every project; :func:`named_troubles` names those with problems.
    :param is_new: whether the store has no event yet.
    """
    troubles = _troubles(totals, set_aside)
    if troubles or any(is_trouble(way) for way in ways):
        return Verdict("bad", "Monitoring needs attention", troubles)
    if is_new:
        return Verdict("new", "No error has been recorded yet", [_destination(config, ways)])
    if not any(way.is_set_up for way in ways):
        return Verdict("good", "Monitoring works", [_destination(config, ways)])
    return _with_sentry(config, totals, ways)


def _with_sentry(config: Config, totals: dict[str, Any], ways: list[Upstream]) -> Verdict:
    waiting = totals["pending"] + totals["retry"]
    sentences = [_destination(config, ways)]
    if waiting:
        sentences.append(f"{plural(waiting, 'envelope')} without Sentry's answer so far.")
    if waiting and not totals["delivered"]:
        # Not "works": Sentry has not accepted any envelope yet.
        return Verdict("new", "Errors are recorded; Sentry has not accepted one yet", sentences)
    return Verdict("good", "Monitoring works", sentences)


def header_of(ways: list[Upstream]) -> Header:
    """Return the header without reading the store again."""
    used = [way.destination for way in ways if way.is_set_up or way.is_held_up]
    names = {way.project_id: way.name for way in ways}
    return Header(badge(used, names, utc_now()), names)


def is_trouble(upstream: Upstream) -> bool:
    """Return whether a person should look at a project's delivery to Sentry."""
    return upstream.is_held_up or upstream.held.parked > 0


def named_troubles(ways: list[Upstream]) -> list[Named]:
    """Return the projects that a person should look at, most envelopes held first."""
    found = [way for way in ways if is_trouble(way)]
    found.sort(key=lambda one: sum(one.held), reverse=True)
    return [Named(upstream.project_id, upstream.name, _trouble_of(upstream)) for upstream in found]


def _trouble_of(upstream: Upstream) -> str:
    told = [upstream.cause] if upstream.is_held_up else []
    waiting, parked = upstream.held
    if waiting:
        told.append(f"{plural(waiting, 'envelope')} {'waits' if waiting == 1 else 'wait'} here")
    if parked:
        told.append(f"Sentry refused {plural(parked, 'envelope')}, kept here")
    return "; ".join(told)


def named_local(ways: list[Upstream]) -> list[Named]:
    """Return the projects without a DSN if others have one: their events are not forwarded."""
    if not any(way.is_set_up for way in ways):
        return []
    return [
        Named(way.project_id, way.name, why_local(way.destination))
        for way in ways
        if not way.is_set_up and not way.is_held_up
    ]


def _troubles(totals: dict[str, Any], set_aside: int) -> list[str]:
    troubles = []
    if not totals["balanced"]:
        troubles.append("The accounting does not add up: an envelope is missing or counted twice.")
    if set_aside:
        troubles.append(
            f"{plural(set_aside, 'event')} could not be stored in time and wait in the emergency"
            " folder; they are recovered automatically."
        )
    return troubles


def _destination(config: Config, ways: list[Upstream]) -> str:
    sent_on = sum(way.is_set_up for way in ways)
    if not sent_on and len(ways) == 1:
        return "Errors are recorded here and stay here: no SENTRY_DSN is set."
    if not sent_on:
        return "Errors are recorded here and stay here: no project is sent on to Sentry."
    whose = "those" if sent_on == len(ways) else f"those of {sent_on} of {len(ways)} projects"
    if config.SENTRY_SAMPLE_RATE < 1:
        whose = f"{config.SENTRY_SAMPLE_RATE:.0%} of {whose if sent_on < len(ways) else 'them'}"
    if whose == "those":
        return "Errors are recorded here and sent on to Sentry."
    return f"Errors are recorded here; {whose} are sent on to Sentry."


def terms(totals: dict[str, Any], *, has_sentry: bool) -> list[Term]:
    """Return the right side of the equation: all terms that are not 0, and the usual terms."""
    always = {"delivered", "pending"} if has_sentry else {"local"}
    counts = {state: totals[state] for state in STATES}
    counts["discarded"] = sum(totals["discarded"].values())
    return [Term(name, count) for name, count in counts.items() if count or name in always]
