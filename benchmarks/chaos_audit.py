"""What a fake Sentry's own record says: lost, sent twice and why, sent by two at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.fake_sentry.record import Entry, overlaps_in

# Accepted there, and answered so that nobody can know it.
UNKNOWABLE = frozenset({"accept_then_reset", "big_body", "close_after_headers"})
# Between the kill and the note of when it was.
CLOCK_S = 0.05


@dataclass(frozen=True)
class Repeats:
    """Events that were accepted once more.

    :param by_upstream: whose sender got no answer that it could take for "accepted".
    :param by_kill: of each kill, how many were on their way or not settled when it came.
    :param unexplained: neither; there must be none.
    """

    by_upstream: int = 0
    by_kill: Counter[float] = field(default_factory=Counter)
    unexplained: list[Entry] = field(default_factory=list)


def repeats_of(accepted: Iterable[Entry], kills: Sequence[float]) -> Repeats:
    """Explain every acceptance of an event after its first.

    :param kills: moments when a process that may have been sending was killed.
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
    """Return the pairs that had one envelope under way at once though no sender was killed."""
    pairs = overlaps_in(requests)
    return [pair for pair in pairs if _kill_between(*pair, kills) is None]


def _kill_between(first: Entry, second: Entry, kills: Sequence[float]) -> float | None:
    """The first kill since an envelope was sent, if it came before it was sent again."""
    since, until = first["started"] - CLOCK_S, second["started"] + CLOCK_S
    return next((kill for kill in kills if since <= kill <= until), None)


def worst_kill(repeats: Repeats) -> int:
    """How many events the worst of the kills had sent twice."""
    return max(repeats.by_kill.values(), default=0)


def missing(accepted: Iterable[str], arrived: Iterable[str], explained: Iterable[str]) -> set[str]:
    """Events that were answered for, did not arrive and have no reason; there must be none."""
    return set(accepted) - set(arrived) - set(explained)


def by_reason(reasons: Iterable[str | None]) -> dict[str, int]:
    """Count reasons, cut before what Sentry said in brackets."""
    counts: dict[str, int] = defaultdict(int)
    for reason in reasons:
        counts[(reason or "without a reason").partition(" (")[0]] += 1
    return dict(sorted(counts.items()))
