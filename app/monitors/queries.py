"""Monitors and their runs, read for pages, the API and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, case, exists, func, select, tuple_

from app.monitors.machine import FAILING, is_late
from app.monitors.rate import is_recent
from app.monitors.schedule import Schedule
from app.monitors.settings import schedule_of
from app.monitors.tables import check_ins, monitor_changes, monitor_states, monitors
from app.projects import MAX_PROJECT_ID
from app.protocol.slug import read_slug

# The environment with the worst status decides what a monitor shows. From best to worst.
_WORST = ("waiting", "ok", "late", "missed", "timeout", "error")


@dataclass(frozen=True)
class EnvironmentState:
    """A monitor in an environment.

    :param status: ``waiting``, ``ok``, ``late``, ``missed``, ``timeout``, ``error`` or ``paused``.
    :param next_expected: when the next run is expected, or since when it is late.
    :param beyond_rate_since: since when more runs end in a minute than have rows of their own;
        ``None`` if that did not happen lately.
    """

    id: int
    environment: str
    status: str
    next_expected: datetime | None
    last_checkin: datetime | None
    since: datetime | None
    beyond_rate_since: datetime | None
    beyond_rate_at: datetime | None


@dataclass(frozen=True)
class Monitor:
    """A monitor. Its status is that of its worst environment.

    :param next_expected: the earliest of its environments.
    """

    row: Row[Any]
    environments: tuple[EnvironmentState, ...]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)

    @property
    def title(self) -> str:
        """Its name, or its slug if it has none."""
        return str(self.row.name or self.row.slug)

    @property
    def schedule(self) -> Schedule | None:
        """Its schedule."""
        return schedule_of(self.row)

    @property
    def status(self) -> str:
        """The status of the worst environment."""
        if self.row.paused:
            return "paused"
        return max((one.status for one in self.environments), key=_WORST.index, default="waiting")

    @property
    def next_expected(self) -> datetime | None:
        """When the next run is expected."""
        times = [one.next_expected for one in self.environments if one.next_expected]
        return min(times, default=None)

    @property
    def last_checkin(self) -> datetime | None:
        """When the last check-in came."""
        times = [one.last_checkin for one in self.environments if one.last_checkin]
        return max(times, default=None)


def list_monitors(
    conn: Connection,
    now: datetime,
    project_id: int | None = None,
    *,
    after: int | None = None,
    limit: int = 50,
    failing_first: bool = False,
) -> tuple[list[Monitor], str | None]:
    """Return a page of monitors in the order in which they appeared, and the row id to go on after.

    :param project_id: only monitors of this project.
    :param failing_first: those that fail first, then the others, each by title. A caller that reads
        every page may then meet a monitor twice or never, if it begins to fail in the meantime.
    """
    columns = monitors.c
    order = _FAILING_FIRST if failing_first else (columns.id,)
    query = select(monitors).order_by(*order).limit(limit + 1)
    if project_id is not None:
        query = query.where(columns.project_id == project_id)
    if after is not None and failing_first:
        last = select(*order).where(columns.id == after).subquery()
        query = query.where(tuple_(*order) > select(last).scalar_subquery())
    elif after is not None:
        query = query.where(columns.id > after)
    rows = conn.execute(query).all()
    page = rows[:limit]
    following = str(page[-1].id) if len(rows) > limit else None
    return with_states(conn, page, now), following


_failing = monitor_states.alias()
_is_failing = exists().where(
    _failing.c.monitor_id == monitors.c.id, _failing.c.status.in_(FAILING), ~monitors.c.paused
)
_FAILING_FIRST = (
    case((_is_failing, 0), else_=1),
    func.lower(func.coalesce(func.nullif(monitors.c.name, ""), monitors.c.slug)),
    monitors.c.id,
)


def find_monitor(conn: Connection, project_id: int, slug: str, now: datetime) -> Monitor | None:
    """Return a monitor of a project, ``None`` if there is no such monitor."""
    row = find_row(conn, project_id, slug)
    return with_states(conn, [row], now)[0] if row else None


def find_row(conn: Connection, project_id: int, slug: str) -> Row[Any] | None:
    """Return the row of a monitor, ``None`` if there is no such monitor.

    :param project_id: any number, as an address may have it.
    :param slug: in any spelling, as check-ins may have it.
    """
    if not 0 < project_id <= MAX_PROJECT_ID:
        return None
    columns = monitors.c
    named = columns.project_id == project_id, columns.slug == read_slug(slug)
    return conn.execute(select(monitors).where(*named)).first()


def find_state(conn: Connection, monitor_id: int, environment: str) -> Row[Any] | None:
    """Return the state of a monitor in an environment, ``None`` if it has none."""
    columns = monitor_states.c
    named = columns.monitor_id == monitor_id, columns.environment == environment
    return conn.execute(select(monitor_states).where(*named)).first()


def with_states(conn: Connection, rows: Sequence[Row[Any]], now: datetime) -> list[Monitor]:
    """Return rows of monitors with their environments."""
    found: dict[int, list[EnvironmentState]] = {}
    paused = {row.id for row in rows if row.paused}
    columns = monitor_states.c
    query = select(monitor_states).where(columns.monitor_id.in_([row.id for row in rows]))
    for state in conn.execute(query.order_by(columns.environment, columns.id)):
        is_paused = state.monitor_id in paused
        found.setdefault(state.monitor_id, []).append(_environment(state, now, is_paused))
    return [Monitor(row, tuple(found.get(row.id, ()))) for row in rows]


def _environment(state: Row[Any], now: datetime, is_paused: bool) -> EnvironmentState:
    late = is_late(state.status, state.expected_at, now)
    status = "paused" if is_paused else "late" if late else state.status
    return EnvironmentState(
        state.id,
        state.environment,
        status,
        None if is_paused else state.expected_at,
        state.last_check_in_at,
        state.since,
        state.beyond_rate_since if is_recent(state.beyond_rate_at, now) else None,
        state.beyond_rate_at,
    )


def runs_of(
    conn: Connection, state_ids: Sequence[int], *, before: int | None = None, limit: int = 50
) -> list[Row[Any]]:
    """Return runs of states with their ``environment``, the newest first, up to ``limit``.

    :param before: only runs with smaller ids.
    """
    columns = check_ins.c
    query = select(check_ins, monitor_states.c.environment)
    query = _newest(query, state_ids, limit, before)
    return list(conn.execute(query.order_by(columns.id.desc()).limit(limit)))


def find_run(conn: Connection, state_ids: Sequence[int], run_id: int) -> Row[Any] | None:
    """Return a run of some states, ``None`` if they have no such run."""
    columns = check_ins.c
    named = columns.id == run_id, columns.state_id.in_(state_ids)
    return conn.execute(select(check_ins).where(*named)).first()


def latest_runs(
    conn: Connection, state_ids: Sequence[int], limit: int
) -> dict[int, list[Row[Any]]]:
    """Return the latest runs of each of some states, the oldest first, with what a bar shows."""
    columns = check_ins.c
    shown = columns.status, columns.away, columns.runs, columns.at, columns.duration_ms
    query = _newest(select(columns.state_id, *shown), state_ids, limit)
    found: dict[int, list[Row[Any]]] = {}
    for row in conn.execute(query.order_by(columns.id)):
        found.setdefault(row.state_id, []).append(row)
    return found


def _newest(query: Any, state_ids: Sequence[int], limit: int, before: int | None = None) -> Any:
    """Return a query of the newest runs of each state, which are read along an index.

    It is one statement whatever the number of states. To compile a union of one query for each took
    most of the time of the list.
    """
    columns, other = check_ins.c, check_ins.alias("other").c
    is_before = (lambda of: ()) if before is None else (lambda of: (of.id < before,))
    of_state = other.state_id == monitor_states.c.id, *is_before(other)
    beyond = select(other.id).where(*of_state).order_by(other.id.desc()).offset(limit).limit(1)
    is_newer = columns.id > func.coalesce(beyond.correlate(monitor_states).scalar_subquery(), 0)
    is_its = columns.state_id == monitor_states.c.id
    query = query.select_from(monitor_states).join(check_ins, is_its & is_newer)
    return query.where(monitor_states.c.id.in_(state_ids), *is_before(columns))


def failing_states(conn: Connection) -> list[Row[Any]]:
    """Return the environments whose monitor is failing, with their monitor."""
    columns = monitor_states.c
    query = _with_monitor().where(columns.status.in_(FAILING), monitors.c.paused.is_(False))
    return list(conn.execute(query.order_by(columns.id)))


def oldest_changes(conn: Connection, limit: int) -> list[Row[Any]]:
    """Return changes of states as :func:`failing_states` does, as each was after it, in order.

    :return: rows with ``change_id``.
    """
    changes, columns, of = monitor_changes.c, monitor_states.c, monitors.c
    query = select(
        *(changes.id.label("change_id"), changes.status, changes.failures),
        *(changes.at.label("since"), columns.id, columns.environment),
        *(of.project_id, of.slug, of.name, of.paused),
    )
    joined = query.join(monitor_states, columns.id == changes.state_id).join(
        monitors, of.id == columns.monitor_id
    )
    return list(conn.execute(joined.order_by(changes.id).limit(limit)))


def states_by_id(conn: Connection, ids: Sequence[int]) -> dict[int, Row[Any]]:
    """Return states with their monitor, by id."""
    query = _with_monitor().where(monitor_states.c.id.in_(list(ids)))
    return {row.id: row for row in conn.execute(query)}


def _with_monitor() -> Any:
    columns, of = monitor_states.c, monitors.c
    names = of.project_id, of.slug, of.name, of.paused, of.failure_issue_threshold
    chosen = columns.id, columns.environment, columns.status, columns.failures, columns.since
    return select(*chosen, columns.expected_at, *names).join(monitors, of.id == columns.monitor_id)
