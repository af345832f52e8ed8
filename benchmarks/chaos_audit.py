"""Audit of a fake Sentry's record: lost events, repeated events and their cause, overlaps."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.fake_sentry.record import Entry, overlaps_in

# In these moods the fake accepts an envelope, and its answer does not show it.
UNKNOWABLE = frozenset({"accept_then_reset", "big_body", "close_after_headers"})
# The largest time between a kill and its recorded time.
CLOCK_S = 0.05


@dataclass(frozen=True)
class Repeats:
    """Events that were accepted again.

    :param by_upstream: how many have a sender that got no answer that means "accepted".
    :param by_kill: for each kill, how many were being sent or had no recorded outcome at the time.
    :param unexplained: all others; there must be none.
    """

    by_upstream: int = 0
    by_kill: Counter[float] = field(default_factory=Counter)
    unexplained: list[Entry] = field(default_factory=list)


def repeats_of(accepted: Iterable[Entry], kills: Sequence[float]) -> Repeats:
    """Return the causes of all repeated acceptances of events.

    :param kills: times at which a process that may have been sending was killed.
    """
    by_upstream, by_kill, unexplained = 0, Counter[float](), []
    before: dict[str, Entry] = {}
    for entry in accepted:
        for event_id in entry["event_ids"]:
            earlier, before[event_id] = before.get(event_id), entry
            if earlier is None:
                continue
            kill = _kill_between(earlier, entry, kills)
            if earlier["mood"] in UNKNOWABLE:
                by_upstream += 1
            elif kill is not None:
                by_kill[kill] += 1
            elif not earlier["answered"]:
                by_upstream += 1
            else:
                unexplained.append(entry)
    return Repeats(by_upstream, by_kill, unexplained)


def overlaps_without_kill(
    requests: Iterable[Entry], kills: Sequence[float]
) -> list[tuple[Entry, Entry]]:
    """Return the pairs of requests that sent one envelope at once although no sender was killed."""
    pairs = overlaps_in(requests)
    return [pair for pair in pairs if _kill_between(*pair, kills) is None]


def _kill_between(first: Entry, second: Entry, kills: Sequence[float]) -> float | None:
    """Return the first kill between two sendings of an envelope, ``None`` if there was none."""
    since, until = first["started"] - CLOCK_S, second["started"] + CLOCK_S
    return next((kill for kill in kills if since <= kill <= until), None)


def worst_kill(repeats: Repeats) -> int:
    """Return the largest number of events that one kill caused to be sent twice."""
    return max(repeats.by_kill.values(), default=0)


def missing(accepted: Iterable[str], arrived: Iterable[str], explained: Iterable[str]) -> set[str]:
    """Return the accepted events that did not arrive and have no reason; there must be none."""
    return set(accepted) - set(arrived) - set(explained)


def by_reason(reasons: Iterable[str | None]) -> dict[str, int]:
    """Return counts by reason, without Sentry's message in brackets."""
    counts: dict[str, int] = defaultdict(int)
    for reason in reasons:
        counts[(reason or "without a reason").partition(" (")[0]] += 1
    return dict(sorted(counts.items()))
