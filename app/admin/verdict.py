"""The first sentence of the start page: is everything recorded, and does Sentry have it?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from flask import url_for

from app.admin.filters import ago, plural
from app.admin.header import is_waiting
from app.confirmation.reading import Tally
from app.delivery.destinations import Destination
from app.delivery.upstreams import Upstream, held_up_by, probe_at, why_local

# How many projects a sentence names. The list of projects has all of them.
NAMED = 5


class Named(NamedTuple):
    """A project in a sentence, with a remark in brackets."""

    name: str
    words: str
    address: str


class Sentence(NamedTuple):
    """A sentence without its full stop.

    :param named: the projects that follow the text.
    :param more: how many more projects there are.
    """

    text: str
    named: Sequence[Named] = ()
    more: int = 0


class Verdict(NamedTuple):
    """Whether monitoring works.

    :param tone: ``good``, ``bad``, or ``new`` (nothing is recorded, or Sentry has nothing yet).
    :param sentences: the first is the verdict; the others add to it.
    """

    tone: str
    sentences: list[Sentence]


def verdict(
    totals: dict[str, Any],
    set_aside: int,
    ways: list[Upstream],
    now: datetime,
    asked: Sequence[Tally] = (),
) -> Verdict:
    """Return whether monitoring works, in words.

    :param totals: the accounting.
    :param set_aside: how many events are in the emergency folder.
    :param ways: the upstream of every project.
    :param asked: what became of the events that Sentry was asked about.
    """
    troubles = [*_own_troubles(totals, set_aside), *_troubles(ways, now), *_missing(ways, asked)]
    if troubles:
        return Verdict("bad", [*troubles, *_local(ways), *_not_asked(ways, asked)])
    if not totals["accepted"]:
        return Verdict("new", [Sentence("No error has been recorded yet"), *_local(ways)])
    return _with_sentry(totals, ways, asked)


def _with_sentry(totals: dict[str, Any], ways: list[Upstream], asked: Sequence[Tally]) -> Verdict:
    if not any(way.is_set_up for way in ways):
        text = "Everything recorded here; no project is forwarded to Sentry"
        return Verdict("good", [Sentence(text)])
    has, on_the_way = totals["delivered"], totals["pending"] + totals["retry"]
    if not has:
        text = "Everything recorded; Sentry has not accepted anything yet"
        return Verdict("new", [Sentence(text), *_local(ways)])
    text = f"Everything recorded; Sentry has all {has:,}"
    if on_the_way:
        share = f"{has:,} of {has + on_the_way:,}"
        text = f"Everything recorded; Sentry has {share}, {on_the_way:,} on their way"
    elif has < totals["accepted"]:
        text += " that were to be forwarded"
    if confirmed := sum(one.confirmed for one in asked):
        text += f", {confirmed:,} of {plural(confirmed, 'sample')} confirmed"
    return Verdict("good", [Sentence(text), *_local(ways), *_not_asked(ways, asked)])


def _own_troubles(totals: dict[str, Any], set_aside: int) -> list[Sentence]:
    found = []
    if not totals["balanced"]:
        text = "The accounting does not add up: an envelope is missing or counted twice"
        found.append(Sentence(text))
    if set_aside:
        text = f"{plural(set_aside, 'event')} could not be stored in time"
        found.append(Sentence(f"{text}: recovered automatically from the emergency folder"))
    return found


def _troubles(ways: list[Upstream], now: datetime) -> list[Sentence]:
    used = [way for way in ways if way.is_set_up or way.is_held_up]
    waiting = [way for way in used if is_waiting(way.destination, now)]
    refused = [way for way in ways if way.held.parked]
    found = []
    if waiting:
        verb = "waits" if len(waiting) == 1 else "wait"
        text = f"{len(waiting)} of {plural(len(used), 'project')} {verb} for Sentry"
        named = [Named(way.name, _waits_for(way, now), _address(way)) for way in _worst(waiting)]
        found.append(_sentence(text, named))
    if refused:
        count = sum(way.held.parked for way in refused)
        named = [Named(way.name, f"{way.held.parked:,}", _parked(way)) for way in _worst(refused)]
        found.append(_sentence(f"Sentry refused {plural(count, 'envelope')}, kept here", named))
    return found


def _missing(ways: list[Upstream], asked: Sequence[Tally]) -> list[Sentence]:
    """Return which projects have events that Sentry accepted and does not show."""
    by_id = {way.project_id: way for way in ways}
    found = sorted((one for one in asked if one.missing), key=lambda one: -one.missing)
    named = [
        Named(
            by_id[one.project_id].name,
            f"{one.missing:,} of {one.answered:,}",
            url_for("admin.list_of_deliveries", project=one.project_id, _anchor="missing"),
        )
        for one in found
    ]
    if not named:
        return []
    count = sum(one.missing for one in found)
    text = f"Sentry accepted {plural(count, 'event')} that it does not show"
    return [_sentence(text, named)]


def _not_asked(ways: list[Upstream], asked: Sequence[Tally]) -> list[Sentence]:
    """Return for which projects Sentry cannot be asked now, of those that have a token."""
    by_id = {way.project_id: way for way in ways}
    named = [
        Named(by_id[one.project_id].name, one.cause, _address(by_id[one.project_id]))
        for one in asked
        if one.has_api and one.cause
    ]
    return [_sentence("Sentry cannot be asked what it shows", named)] if named else []


def _local(ways: list[Upstream]) -> list[Sentence]:
    """Return which projects are not forwarded, if others are."""
    if not any(way.is_set_up for way in ways):
        return []
    local = [way for way in ways if not (way.is_set_up or way.is_held_up or way.is_demo)]
    named = [Named(way.name, why_local(way.destination), _address(way)) for way in local]
    return [_sentence("Not forwarded", named)] if named else []


def _sentence(text: str, named: list[Named]) -> Sentence:
    return Sentence(text, named[:NAMED], max(0, len(named) - NAMED))


def _worst(ways: list[Upstream]) -> list[Upstream]:
    """Return those first that hold most envelopes."""
    return sorted(ways, key=lambda way: sum(way.held), reverse=True)


def _waits_for(way: Upstream, now: datetime) -> str:
    destination = way.destination
    words = destination.cause or ("rate limited" if destination.limits else "")
    if destination.dsn is None or destination.paused_at:
        words = held_up_by(destination, "", now).removeprefix("waits: ")
    moment = _next_try(destination, now)
    parts = [words, f"next try {ago(moment, now)}" if moment else ""]
    if way.held.waiting:
        verb = "waits" if way.held.waiting == 1 else "wait"
        parts.append(f"{plural(way.held.waiting, 'envelope')} {verb}")
    return ", ".join(filter(None, parts))


def _next_try(destination: Destination, now: datetime) -> datetime | None:
    if destination.dsn is None or destination.paused_at:
        return None
    if destination.open_since:
        return probe_at(destination, now)
    return max((until for until in destination.limits.values() if until > now), default=None)


def _address(way: Upstream) -> str:
    return url_for("admin.show_project", project_id=way.project_id)


def _parked(way: Upstream) -> str:
    return url_for("admin.list_of_deliveries", project=way.project_id, state="parked")
