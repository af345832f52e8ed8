"""The accounting: every accepted envelope is in exactly one state, and the counters prove it.

A transaction that changes rows also writes their counters. :func:`accounting` compares the counters
with each other and with the rows in the store, which takes longer with more rows. A background task
does it every minute (:func:`check`). The start page shows :func:`last_checked`, which reads only
the counters.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from app.delivery.tables import counters
from app.events.states import EnvelopeState
from app.events.tables import envelopes
from app.store import DriverStatement, Store, added, replaced, upsert

# The states of an envelope that has not been discarded. Envelopes of a demo are not counted.
STATES: tuple[str, ...] = tuple(
    state for state in EnvelopeState if state not in (EnvelopeState.DISCARDED, EnvelopeState.DEMO)
)


# The counters that say when :func:`check` ran last, in seconds since 1970, and whether it failed.
CHECKED_AT, IS_WRONG = "check:at", "check:wrong"

_ADDITION = DriverStatement(lambda dialect: upsert(dialect, counters, value=added))
_CHECK = DriverStatement(lambda dialect: upsert(dialect, counters, value=replaced))


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


def accounting(conn: Connection, counted: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return the accounting: counts of envelopes since the store was created.

    :param counted: every counter by name, if they were read before.
    :return: ``accepted``, a count for each state, ``discarded`` by reason, and ``balanced``.
    """
    counted = read_counters(conn) if counted is None else counted
    totals = _totals(counted)
    totals["balanced"] = _balanced(totals, counted, _rows(conn))
    return totals


def check(store: Store, now: datetime) -> bool:
    """Compare the counters with the rows, note the result, and return whether they agree."""
    with store.read() as conn:
        is_balanced = bool(accounting(conn)["balanced"])
    values = {CHECKED_AT: int(now.timestamp()), IS_WRONG: int(not is_balanced)}
    with store.write(durable=False) as conn:
        _CHECK.run(conn, [{"name": name, "value": value} for name, value in values.items()])
    return is_balanced


def last_checked(counted: Mapping[str, int]) -> tuple[dict[str, Any], datetime | None]:
    """Return the accounting by the counters alone, and when they were last compared with the rows.

    :param counted: every counter by name.
    :return: ``balanced`` is false if the counters do not add up, or if they did not agree with the
        rows at that time.
    """
    totals = _totals(counted)
    of_rows = sum(_by_state(totals).values())
    totals["balanced"] = totals["accepted"] == of_rows and not counted.get(IS_WRONG)
    at = counted.get(CHECKED_AT)
    return totals, None if at is None else datetime.fromtimestamp(at, UTC)


def _totals(counted: Mapping[str, int]) -> dict[str, Any]:
    totals: dict[str, Any] = {"accepted": counted.get("accepted", 0)}
    totals |= {state: counted.get(counter_of(state), 0) for state in STATES}
    totals["discarded"] = {
        name.removeprefix("discarded:"): value
        for name, value in sorted(counted.items())
        if name.startswith("discarded:") and value
    }
    return totals


def _by_state(totals: dict[str, Any]) -> dict[str, int]:
    counts = {state: totals[state] for state in STATES}
    return counts | {"discarded": sum(totals["discarded"].values())}


def _rows(conn: Connection) -> dict[str, int]:
    query = select(envelopes.c.state, func.count()).group_by(envelopes.c.state)
    counts = {str(state): int(count) for state, count in conn.execute(query)}
    counts.pop(EnvelopeState.DEMO, None)
    return counts


def _balanced(totals: dict[str, Any], counted: Mapping[str, int], rows: dict[str, int]) -> bool:
    """Compare the counters with each other, and each state's counter with the rows in the store."""
    expected = _by_state(totals)
    there = {state: rows.get(state, 0) + counted.get(pruned(state), 0) for state in expected}
    return (
        totals["accepted"] == sum(expected.values())
        and there == expected
        and not (rows.keys() - expected.keys())
    )
