"""Count lines by level, in the transaction that writes their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.signals.logs.line import Line
from app.stats.counting import SeriesCounter, Tally
from app.stats.log_counts import LOGS, Logged

# All stores of a process share it. It also finds series that expired since the last batch.
_COUNTER = SeriesCounter(LOGS, remembers=False)


def count_lines(conn: Connection, lines: Sequence[Line], now: datetime) -> None:
    """Count lines at the minute in which they were written. The caller commits."""
    of_minutes = Counter(
        (one.project_id, int(one.at.timestamp()) // 60, one.level) for one in lines
    )
    tally = Tally(LOGS)
    for (project_id, minute, level), count in of_minutes.items():
        tally.add(project_id, minute * 60, (Logged(level, count),))
    _COUNTER.add(conn, tally, now)
