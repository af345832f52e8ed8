"""The releases that lines name: a program may send nothing but logs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, update

from app.issues.triage import resolve_awaiting
from app.signals.logs.line import Line
from app.stats.releases import ReleaseRecorder, release_of
from app.stats.tables import releases


def note_releases(conn: Connection, lines: Sequence[Line], now: datetime) -> None:
    """Record the releases of a batch of lines; they are bounded as those that no event names."""
    named = dict.fromkeys((line.project_id, line.release) for line in lines if line.release)
    if not named:
        return
    seen = ReleaseRecorder().see(conn, [release_of(*each) for each in named], now)
    if seen.made:
        resolve_awaiting(conn, seen.made)
    is_new = releases.c.id.in_(seen.ids.values()) & ~releases.c.has_logs
    conn.execute(update(releases).where(is_new).values(has_logs=True))
