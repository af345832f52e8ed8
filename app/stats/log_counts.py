"""Lines of logs by level, counted in the transaction that writes their rows.

They are counted at the minute in which they were written, so that a chart of them has the times of
the list. No line is older than 30 days or of the future when it arrives, so the minutes and hours
of a project are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import BigInteger

from app.protocol.lenient import LEVELS
from app.stats.additive import AdditiveSeries, Counts, Key, Sample


class Logged(NamedTuple):
    """How many lines of a level were written in a minute."""

    level: str
    lines: int


LINES = Counts("log_counts", {"lines": BigInteger})


def _read(logged: Logged, at: float) -> Iterator[Sample]:
    yield Sample(LINES, (logged.level,), (logged.lines,))


LOGS = AdditiveSeries(
    "log_series",
    keys=(Key("level", 16, beyond=None),),
    counts=(LINES,),
    max_series=len(LEVELS),
    minutes_kept=timedelta(days=2),
    read=_read,
)
log_series, log_counts = LOGS.table, LINES.table
