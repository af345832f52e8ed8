"""The bound of the store's size, MAX_STORE_BYTES, as it is enforced on ingest.

The size of the store is measured. On SQLite it is the pages in use. On PostgreSQL it is the size of
the relations, but envelopes and events count by their counters, because PostgreSQL reuses freed
space but never returns it. Lines of logs are left out: they have a bound of their own, so that they
never push out errors. A part of the bound is reserved for what neither measurement shows: the
write-ahead log, and removed rows that are not vacuumed yet. The counters of :mod:`.project_bytes`
decide which project has to make room.

    from 95 %   the largest payer loses its oldest envelopes, down to 90 % (:mod:`.pressure`)
    from 98 %   a project that exceeds its share is refused: 429
    from 100 %  every project is refused if none exceeds its share: 503
    from 106 %  every project is refused: what exceeds a project's share waits for delivery

A project's share is the bound divided by the number of projects that stored something within a day,
but at least 5 % of the bound.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from app.intake import project_bytes
from app.intake.project_bytes import Bytes
from app.signals.logs.expiry import bytes_of_lines
from app.store import Store, StoreError, StoreFull, utc_now

PRUNE_AT, PRUNE_TO = 0.95, 0.90
REFUSE_AT, FULL_AT, FULL_FOR_ALL_AT = 0.98, 1.0, 1.06
SMALLEST_SHARE = 0.05
ACTIVE_WITHIN = timedelta(days=1)
# SQLite's write-ahead log grows to about 8 MiB. At most this part of the bound is reserved for it.
WAL_BYTES, WAL_SHARE = 8 * 1024**2, 1 / 16
# On PostgreSQL, relations keep the space of removed rows until a VACUUM. In a flood of 27 KB errors
# that do not compress, they used 1.11 of a bound of 64 MiB while the counters showed 0.95.
DEAD_ROWS_SHARE = 1 / 12
# How long a measurement stays valid, in seconds. A measurement takes four statements. Half a second
# of a flood of 8 MB/s is 6 % of the smallest bound, so the time is shorter when the store fills up.
HOLDS_S, HOLDS_WHEN_FULL_S = 1.0, 0.2
GETS_FULL_AT = 0.8

_RELATIONS = text(
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c"
    " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
    " AND c.relname NOT IN ('envelopes', 'events', 'log_lines', 'log_blocks')"
)


class ShareExceeded(StoreError):
    """The store is nearly full, and the project exceeds its share of it."""


@dataclass(frozen=True)
class State:
    """How full the store is.

    :param limit: bytes; 0 means no limit.
    :param used: bytes, as measured.
    :param projects: the counters of each project, by project id.
    """

    limit: int
    used: int
    projects: dict[int, Bytes] = field(default_factory=dict)
    now: datetime = field(default_factory=utc_now)

    @property
    def fullness(self) -> float:
        """Return the used part of the bound; 1.0 means full."""
        return self.used / self.limit if self.limit else 0.0

    def taken_by(self, project_id: int) -> float:
        """Return the bytes attributed to a project: its part of all used bytes."""
        total = sum(max(0, project.bytes) for project in self.projects.values())
        own = self.projects.get(project_id)
        return self.used * max(0, own.bytes) / total if own and total else 0.0

    def active(self, project_id: int | None = None) -> set[int]:
        """Return the projects that share the bound.

        :param project_id: a project that wants to store something now. It is included.
        """
        since = self.now - ACTIVE_WITHIN
        found = {
            key
            for key, project in self.projects.items()
            if project.stored_at and project.stored_at >= since
        }
        return found if project_id is None else found | {project_id}

    def share(self, project_id: int | None = None) -> float:
        """Return the bytes that each project may use."""
        return self.limit * max(1 / max(1, len(self.active(project_id))), SMALLEST_SHARE)

    def beyond_share(self, project_id: int | None = None) -> set[int]:
        """Return the projects that exceed their share. It is empty if there is only one project."""
        if len(self.active(project_id) | set(self.projects)) < 2:
            return set()
        share = self.share(project_id)
        return {id for id in self.projects if self.taken_by(id) > share}

    def is_full(self, project_id: int | None = None) -> bool:
        """Return whether no project may store anything."""
        if not self.limit:
            return False
        full_at = FULL_FOR_ALL_AT if self.beyond_share(project_id) else FULL_AT
        return self.fullness >= full_at

    def check(self, project_id: int) -> None:
        """Check that a project may store something.

        :raise ShareExceeded: the store is nearly full, and the project exceeds its share of it.
        :raise StoreFull: no project may store anything.
        """
        if self.fullness < REFUSE_AT:
            return
        if project_id in self.beyond_share(project_id):
            raise ShareExceeded("the store is nearly full, and the project is beyond its share")
        if self.is_full(project_id):
            raise StoreFull("the store is full: what it holds waits for delivery")


class StoreBound:
    """How full the store is, as this process knows it.

    It is read from the store, so that all processes make the same decision.
    """

    def __init__(
        self, store: Store, limit: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self.limit, self._clock = store, limit, clock
        self._lock = threading.Lock()
        self._state = State(limit, 0)
        self._until = float("-inf")

    def state(self) -> State:
        """Return a state at most a second old, or the last one if the store does not answer.

        One thread measures. The other threads continue with the last known state.
        """
        if self.limit and self._clock() >= self._until and self._lock.acquire(blocking=False):
            try:
                self._refresh()
            except StoreError:
                self._until = self._clock() + HOLDS_S
            finally:
                self._lock.release()
        return self._state

    def check(self, project_id: int) -> None:
        """Check that a project may store something, as :meth:`State.check` does."""
        self.state().check(project_id)

    def is_refused(self, project_id: int) -> bool:
        """Return whether :meth:`check` raises."""
        try:
            self.check(project_id)
        except StoreError:
            return True
        return False

    def _refresh(self) -> None:
        self._state = measure(self._store, self.limit)
        is_near = self._state.fullness >= GETS_FULL_AT
        self._until = self._clock() + (HOLDS_WHEN_FULL_S if is_near else HOLDS_S)


def measure(store: Store, limit: int) -> State:
    """Measure how full the store is now.

    :param limit: MAX_STORE_BYTES. A part of it is reserved for what is not measured.
    """
    kept = min(WAL_BYTES, limit * WAL_SHARE) if store.is_sqlite else limit * DEAD_ROWS_SHARE
    usable = limit - int(kept)
    with store.read() as conn:
        projects = project_bytes.read(conn)
        return State(usable, _used(conn, projects), projects)


def used_bytes(store: Store) -> int:
    """Return the bytes in use. Freed pages stay in the file and are reused."""
    return measure(store, 0).used


def _used(conn: Connection, projects: dict[int, Bytes]) -> int:
    if conn.dialect.name == "sqlite":
        names = ("page_count", "freelist_count", "page_size")
        pages = [int(conn.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in names]
        return max(0, (pages[0] - pages[1]) * pages[2] - bytes_of_lines(conn))
    others = int(conn.execute(_RELATIONS).scalar_one())
    return others + sum(project.bytes for project in projects.values())
