"""Monitors: whether jobs ran when they had to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import Connection, Row

from app.alerts import monitor_alerts
from app.api.requests import Paged, Query, first_page
from app.api.routes import Routes
from app.api.schemas import ApiModel, Next
from app.inputs import ProjectId, patch_of, unchanged
from app.monitors import changes, queries
from app.monitors.rate import MAX_RUNS_A_MINUTE
from app.monitors.schedule import Schedule
from app.monitors.settings import MonitorSettings, NamedMonitor
from app.store import utc_now
from app.web import access
from app.web.current import current_store
from app.web.errors import or_404

UNKNOWN = "the project has no monitor with this slug"
UNKNOWN_ENVIRONMENT = "the monitor has no such environment"
Status = Literal["ok", "late", "missed", "timeout", "error", "paused", "waiting"]
ManagedBy = Annotated[
    Literal["sdk", "person"],
    Field(description="Whether check-ins may change what is expected, or only people here."),
]

route = Routes("monitors")


class MonitorSchedule(ApiModel):
    """A crontab, or an interval with its unit."""

    type: Literal["crontab", "interval"]
    value: str | int
    unit: str | None = None


class MonitorEnvironment(ApiModel):
    """A monitor in an environment."""

    environment: str
    status: Status
    next_expected: datetime | None
    last_checkin: datetime | None
    beyond_rate_since: datetime | None = Field(
        description=f"Since when, again and again, more than {MAX_RUNS_A_MINUTE} runs end in a"
        " minute; null if none did within a day."
    )


class MonitorAnswer(ApiModel):
    """A monitor; its status is that of its worst environment."""

    slug: str
    name: str
    project_id: int
    schedule: MonitorSchedule | None = Field(description="Null: no run is expected.")
    timezone: str
    checkin_margin: int = Field(description="Minutes after which a run is missed.")
    max_runtime: int = Field(description="Minutes after which a run times out.")
    failure_issue_threshold: int
    recovery_threshold: int
    managed_by: ManagedBy
    config_error: str | None = Field(description="What is wrong in the last `monitor_config`.")
    status: Status
    next_expected: datetime | None
    last_checkin: datetime | None
    environments: list[MonitorEnvironment]
    created_at: datetime


class MonitorPage(ApiModel):
    """A page of monitors, in the order in which they appeared."""

    monitors: list[MonitorAnswer]
    next: Next


class MonitorRun(ApiModel):
    """A run of a job, or one that did not come."""

    check_in_id: str | None = Field(description="Null for a run that did not come.")
    environment: str
    status: Literal["in_progress", "ok", "error", "missed", "timeout"]
    at: datetime = Field(description="When it began; if it did not come, when it was missed.")
    expected_at: datetime | None
    finished_at: datetime | None
    duration_ms: float | None
    away: bool = Field(
        description="Whether DevEnviro was away, so that the check-in may have been lost. Such a"
        " run counts as no failure."
    )
    runs: int = Field(
        description="How many runs this is: several missed ones while away, or those beyond"
        f" {MAX_RUNS_A_MINUTE} that ended alike within a minute."
    )
    trace_id: str | None = Field(description="`query=trace:…` finds the errors of the run.")
    release: str | None


class MonitorRuns(ApiModel):
    """A page of runs, the newest first."""

    checkins: list[MonitorRun]
    next: Next


class MonitorsQuery(Paged):
    """The monitors to list."""

    project_id: ProjectId | None = None


class OneMonitor(Query):
    """The project of a monitor."""

    project_id: ProjectId


class RunsQuery(Paged):
    """The runs to list."""

    project_id: ProjectId
    environment: Annotated[str, Field(max_length=64)] | None = None


class NewMonitor(NamedMonitor):
    """A new monitor, which is managed here."""

    project_id: ProjectId


class MonitorChange(patch_of(MonitorSettings, clearable=("schedule",))):  # type: ignore[misc]
    """The fields of a monitor to change; what is expected is managed here from then on."""

    paused: bool = unchanged()
    managed_by: ManagedBy = unchanged()


@route("GET /api/monitors", access.reads)
def get_monitors(query: MonitorsQuery) -> MonitorPage:
    """List monitors, in the order in which they appeared."""
    with current_store().read() as conn:
        rows, following = queries.list_monitors(
            conn, utc_now(), query.project_id, after=query.cursor, limit=query.limit
        )
    return MonitorPage(monitors=[_answer(row) for row in rows], next=following)


@route("GET /api/monitors/<slug>", access.reads)
def get_monitor(slug: str, query: OneMonitor) -> MonitorAnswer:
    """Return a monitor of a project.

    :raise 404: the project has no monitor with this slug.
    """
    with current_store().read() as conn:
        return _answer(_find(conn, query.project_id, slug))


@route("GET /api/monitors/<slug>/checkins", access.reads)
def get_monitor_runs(slug: str, query: RunsQuery) -> MonitorRuns:
    """List the runs of a monitor, the newest first.

    :raise 404: the project has no monitor with this slug.
    """
    with current_store().read() as conn:
        monitor = _find(conn, query.project_id, slug)
        ids = [
            one.id for one in monitor.environments if query.environment in (None, one.environment)
        ]
        rows = queries.runs_of(conn, ids, before=query.cursor, limit=query.limit + 1)
    page, following = first_page(rows, query.limit)
    return MonitorRuns(checkins=page, next=following)


@route("POST /api/monitors", access.writes, status=201)
def post_monitor(body: NewMonitor) -> MonitorAnswer:
    """Add a monitor; its first run is expected after its first check-in.

    :raise 409: the project has a monitor with this slug.
    """
    settings = MonitorSettings(**body.model_dump(exclude={"slug", "project_id"}))
    with current_store().write() as conn:
        row = changes.add_monitor(
            conn, body.project_id, body.slug, settings, access.caller(), utc_now()
        )
        return _answer(_shown(conn, row))


@route("PATCH /api/monitors/<slug>", access.writes)
def patch_monitor(slug: str, query: OneMonitor, body: MonitorChange) -> MonitorAnswer:
    """Change a monitor, pause it, or let check-ins manage it again.

    :raise 404: the project has no monitor with this slug.
    """
    with current_store().write() as conn:
        row = or_404(queries.find_row(conn, query.project_id, slug), UNKNOWN)
        return _answer(_shown(conn, changes.change_monitor(conn, row, body.changes(), utc_now())))


@route("DELETE /api/monitors/<slug>", access.writes)
def delete_monitor(slug: str, query: OneMonitor) -> None:
    """Delete a monitor with its runs; another check-in makes it again.

    :raise 404: the project has no monitor with this slug.
    """
    with current_store().write() as conn:
        row = or_404(queries.find_row(conn, query.project_id, slug), UNKNOWN)
        monitor_alerts.delete_monitor(conn, row, utc_now())


@route("DELETE /api/monitors/<slug>/environments/<path:environment>", access.writes)
def delete_monitor_environment(slug: str, environment: str, query: OneMonitor) -> None:
    """Delete an environment of a monitor with its runs; another check-in makes it again.

    :raise 404: the project has no such monitor, or it has no such environment.
    """
    with current_store().write() as conn:
        row = or_404(queries.find_row(conn, query.project_id, slug), UNKNOWN)
        state = or_404(queries.find_state(conn, row.id, environment), UNKNOWN_ENVIRONMENT)
        monitor_alerts.delete_environment(conn, row, state, utc_now())


def _find(conn: Connection, project_id: int, slug: str) -> queries.Monitor:
    return or_404(queries.find_monitor(conn, project_id, slug, utc_now()), UNKNOWN)


def _shown(conn: Connection, row: Row[Any]) -> queries.Monitor:
    return queries.with_states(conn, [row], utc_now())[0]


def _answer(monitor: queries.Monitor) -> MonitorAnswer:
    return MonitorAnswer.of(
        monitor, schedule=_schedule(monitor.schedule), environments=list(monitor.environments)
    )


def _schedule(schedule: Schedule | None) -> MonitorSchedule | None:
    if schedule is None:
        return None
    is_interval = schedule.type == "interval"
    value = int(schedule.value) if is_interval else schedule.value
    return MonitorSchedule(type=schedule.type, value=value, unit=schedule.unit)
