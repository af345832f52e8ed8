"""The start page: is monitoring working?"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

from flask import render_template
from flask.typing import ResponseReturnValue

from app import access
from app.admin import bp
from app.admin.filters import plural
from app.admin.lookups import count_since
from app.admin.sparkline import sparklines
from app.admin.trails import trail_of
from app.admin.trigger import TriggerForm
from app.alerts.reach import find_reach
from app.db import utc_now
from app.delivery.books import STATES, accounting
from app.delivery.destinations import Destination
from app.events.queries import EventFilter, list_events
from app.issues.queries import IssueFilter, count_issues, hours_of, list_issues
from app.progress import follow, held_up_by
from app.refusals import refusals
from app.services import services
from config import Config

RECENT_ISSUES = 5
OPEN = IssueFilter(status="unresolved")


class Verdict(NamedTuple):
    """The answer in words.

    :param tone: ``good``, ``new`` (nothing recorded yet) or ``bad``.
    :param sentences: each true by itself.
    """

    tone: str
    headline: str
    sentences: list[str]


class Term(NamedTuple):
    """One term of the books' equation."""

    name: str
    envelopes: int


@bp.get("/")
@access.admin
def start() -> ResponseReturnValue:
    """Answer whether monitoring works, and show what there is to see first."""
    parts = services()
    with parts.store.read() as conn:
        newest = list_events(conn, EventFilter(), limit=1)
        latest = follow(conn, parts, newest[0].event_id) if newest else None
        books = accounting(conn)
        held = _held_up(parts.destinations.list(conn))
        reach = find_reach(conn)
        refused = refusals(conn, utc_now() - timedelta(hours=24))
        figures = {
            "events": count_since(conn, utc_now() - timedelta(hours=24)),
            "issues": count_issues(conn, OPEN),
        }
        issues = list_issues(conn, OPEN, limit=RECENT_ISSUES)
        hours = hours_of(conn, [issue.id for issue in issues], utc_now())
    figures["store"] = parts.store.size_bytes()
    figures["set_aside"] = parts.intake.emergency.count()
    return render_template(
        "start.html",
        verdict=verdict(parts.config, books, figures["set_aside"], held, is_new=latest is None),
        refusals=refused,
        alert_reach=reach,
        latest=latest.stored.row if latest else None,
        trail=trail_of(newest[0].event_id, latest) if latest else None,
        books=books,
        terms=terms(books, has_sentry=parts.config.SENTRY_DSN is not None),
        figures=figures,
        issues=issues,
        sparklines=sparklines(hours),
        form=TriggerForm(),
    )


def verdict(
    config: Config, books: dict[str, Any], set_aside: int, held: list[str], *, is_new: bool
) -> Verdict:
    """Return whether monitoring works, in words.

    :param held: what destinations wait for, each in words.
    """
    troubles = _troubles(books, set_aside)
    troubles += [f"Delivery: {cause}." for cause in held]
    if troubles:
        return Verdict("bad", "Monitoring needs a look", troubles)
    if is_new:
        return Verdict("new", "No error has been recorded yet", [_destination(config)])
    if config.SENTRY_DSN is None:
        return Verdict("good", "Monitoring works", [_destination(config)])
    return _with_sentry(config, books)


def _with_sentry(config: Config, books: dict[str, Any]) -> Verdict:
    waiting = books["pending"] + books["retry"]
    sentences = [_destination(config)]
    if waiting:
        sentences.append(f"{plural(waiting, 'envelope')} without Sentry's answer so far.")
    if waiting and not books["delivered"]:
        # Not "works": nothing has shown yet that the other end takes anything.
        return Verdict("new", "Errors are recorded; Sentry has not accepted one yet", sentences)
    return Verdict("good", "Monitoring works", sentences)


def _held_up(destinations: Iterable[Destination]) -> list[str]:
    """Return what destinations wait for that take nothing at all; a rate limit is no trouble."""
    now = utc_now()
    return [
        held_up_by(one, "", now) for one in destinations if one.state(now) in ("open", "paused")
    ]


def _troubles(books: dict[str, Any], set_aside: int) -> list[str]:
    troubles = []
    if not books["balanced"]:
        troubles.append("The books do not balance: an envelope is missing or counted twice.")
    if books["parked"]:
        troubles.append(f"Sentry refused {plural(books['parked'], 'envelope')}; they wait here.")
    if set_aside:
        troubles.append(
            f"{plural(set_aside, 'event')} could not be stored in time and wait in the emergency"
            " folder; they are taken in by themselves."
        )
    return troubles


def _destination(config: Config) -> str:
    if config.SENTRY_DSN is None:
        return "Errors are recorded here and stay here: no SENTRY_DSN is set."
    if config.SENTRY_SAMPLE_RATE < 1:
        share = f"{config.SENTRY_SAMPLE_RATE:.0%}"
        return f"Errors are recorded here; {share} of them are sent on to Sentry."
    return "Errors are recorded here and sent on to Sentry."


def terms(books: dict[str, Any], *, has_sentry: bool) -> list[Term]:
    """Return the right side of the equation: what is not zero, and what one looks for first."""
    always = {"delivered", "pending"} if has_sentry else {"local"}
    counts = {state: books[state] for state in STATES}
    counts["discarded"] = sum(books["discarded"].values())
    return [Term(name, count) for name, count in counts.items() if count or name in always]
