"""What a process remembers about the store, and the releases that it sees."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection

from app.issues.triage import resolve_awaiting
from app.stats.losses import LossCounter
from app.stats.measuring import MeasureCounters
from app.stats.releases import Release, ReleaseRecorder
from app.stats.users import UserCounter


class Remembered:
    """Data about the store that a process keeps in memory, so that it reads it only once.

    :param max_new_issues: new issues per project and hour; 0 means no limit.
    """

    def __init__(self, max_new_issues: int = 0) -> None:
        self.max_new_issues = max_new_issues
        self.measures = MeasureCounters()
        self.losses = LossCounter()
        self.releases = ReleaseRecorder()
        self.users = UserCounter()


def see_releases(
    conn: Connection,
    heard: Iterable[Release | None],
    remembered: Remembered,
    now: datetime,
    of_events: Collection[Release | None] = (),
) -> dict[Release, int]:
    """Record releases and return their row ids.

    Issues that were resolved "in the next release" get the name of a new release here.

    :param heard: releases in the order they were received. Call this before their events are
        counted.
    :param of_events: the releases that events name.
    """
    seen = remembered.releases.see(conn, heard, now, of_events)
    if seen.made:
        resolve_awaiting(conn, seen.made)
    return seen.ids
