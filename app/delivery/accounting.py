"""The accounting: every accepted envelope is in exactly one state, and the counters prove it.

A transaction that changes rows also writes their counters. :func:`accounting` compares the counters
with each other and with the rows in the store.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from app.delivery.tables import counters
from app.events.states import EnvelopeState
from app.events.tables import envelopes
from app.store import DriverStatement, added, upsert

# The states of an envelope that has not been discarded. Envelopes of a demo are not counted.
STATES: tuple[str, ...] = tuple(
    state for state in EnvelopeState if state not in (EnvelopeState.DISCARDED, EnvelopeState.DEMO)
)


_ADDITION = DriverStatement(lambda dialect: upsert(dialect, counters, value=added))


class Tally:
    """Counts that could not be written when they arose. The next commit writes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, name: str, by: int = 1) -> None:
        """Add ``by`` to the count of this name."""
        with self._lock:
            self._counts[name] += by

    def take(self) -> Counter[str]:
        """Return all unwritten counts and reset them. A caller that cannot write them must call
        :meth:`give_back`.
        """
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return taken

    def give_back(self, counts: Counter[str]) -> None:
        """Add counts again that :meth:`take` returned and that were not written."""
        with self._lock:
            self._counts.update(counts)


def counter_of(state: str, reason: str | None = None) -> str:
    """Return the name of the counter that includes an envelope of this state."""
    return f"discarded:{reason}" if state == EnvelopeState.DISCARDED else f"state:{state}"


def pruned(state: str) -> str:
    """Return the name of the counter of envelopes that retention removed in this state."""
    return f"pruned:{state}"


def attempted(state: str) -> str:
    """Return the name of the counter of attempts that ended in this state."""
    return f"attempts:{state}"


def noticed(state: str) -> str:
    """Return the name of the counter of attempts to send a notification that ended in this
    state.
    """
    return f"notice_attempts:{state}"


def add(conn: Connection, counts: Mapping[str, int]) -> None:
    """Add to the cumulative counters. A counter that does not exist yet is created."""
    rows = [{"name": name, "value": value} for name, value in sorted(counts.items()) if value]
    _ADDITION.run(conn, rows)


def add_pruned(conn: Connection, states: Iterable[str]) -> None:
    """Count envelopes that retention removed, by the state of each envelope."""
    add(conn, Counter(pruned(state) for state in states if state != EnvelopeState.DEMO))


def move(conn: Connection, changes: Iterable[tuple[str, str]]) -> None:
    """Move envelopes from one counter to another.

    :param changes: for each envelope its old and its new counter, both from :func:`counter_of`.
    """
    counts: Counter[str] = Counter()
    for before, after in changes:
        counts[before] -= 1
        counts[after] += 1
    add(conn, counts)


def read_counter(conn: Connection, name: str) -> int:
    """Return one cumulative counter."""
    return int(conn.scalar(select(counters.c.value).where(counters.c.name == name)) or 0)


def read_counters(conn: Connection) -> dict[str, int]:
    """Return every cumulative counter by name."""
    return {name: int(value) for name, value in conn.execute(select(counters))}


def accounting(conn: Connection) -> dict[str, Any]:
    """Return the accounting: counts of envelopes since the store was created.

    :return: ``accepted``, a count for each state, ``discarded`` by reason, and ``balanced``.
    """
    counted = read_counters(conn)
    totals: dict[str, Any] = {"accepted": counted.get("accepted", 0)}
    totals |= {state: counted.get(counter_of(state), 0) for state in STATES}
    totals["discarded"] = {
        name.removeprefix("discarded:"): value
        for name, value in sorted(counted.items())
        if name.startswith("discarded:") and value
    }
    totals["balanced"] = _balanced(totals, counted, _rows(conn))
    return totals


def _rows(conn: Connection) -> dict[str, int]:
    query = select(envelopes.c.state, func.count()).group_by(envelopes.c.state)
    counts = {str(state): int(count) for state, count in conn.execute(query)}
    counts.pop(EnvelopeState.DEMO, None)
    return counts


def _balanced(totals: dict[str, Any], counted: dict[str, int], rows: dict[str, int]) -> bool:
    """Compare the counters with each other, and each state's counter with the rows in the store."""
    expected = {state: totals[state] for state in STATES}
    expected["discarded"] = sum(totals["discarded"].values())
    there = {state: rows.get(state, 0) + counted.get(pruned(state), 0) for state in expected}
    return (
        totals["accepted"] == sum(expected.values())
        and there == expected
        and not (rows.keys() - expected.keys())
    )
