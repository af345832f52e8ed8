"""Tools that read monitors: which jobs run as they should, and the runs of one."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Row

from app.inputs import InputError, Missing, ProjectId
from app.inputs.queries import Paged
from app.mcp.answers import Answer, Sized, at, number
from app.mcp.kinds.arguments import ListLimit
from app.mcp.reach import Reach
from app.mcp.tools import tool
from app.monitors import queries
from app.monitors.queries import Monitor
from app.store import utc_now
from app.web.current import current_config, current_store


class MonitorsArguments(Sized, Paged):
    """Which monitors to list."""

    project_id: ProjectId | None = None
    limit: ListLimit = 20


class MonitorArguments(Sized, Paged):
    """Which monitor to read."""

    slug: Annotated[str, Field(min_length=1, max_length=200, description="As lists name it.")]
    project_id: ProjectId | None = None
    environment: Annotated[str, Field(max_length=64)] | None = None
    limit: ListLimit = 20


@tool("list_monitors", "List monitors of jobs")
def list_monitors(given: MonitorsArguments, reach: Reach, answer: Answer) -> None:
    """List the monitors of jobs, those that fail first, then by name, each with its state: ok,
    late, missed, timeout, error (its last runs failed), paused, or waiting for its first check-in.
    """
    now, project_id = utc_now(), reach.project(given.project_id)
    with current_store().read() as conn:
        rows, following = queries.list_monitors(
            conn, now, project_id, after=given.cursor, limit=given.limit, failing_first=True
        )
    answer.say(number(len(rows), "monitor") + (" on this page." if rows else " found."))
    if following:
        answer.say(f"The next page has the cursor {following}")
    for monitor in rows:
        _say(answer, monitor)


@tool("get_monitor", "Read a monitor and its runs")
def get_monitor(given: MonitorArguments, reach: Reach, answer: Answer) -> None:
    """Read one monitor: what is expected of the job, its state in each environment, and its runs,
    the newest first. get_trace and search_logs take the trace of a run that failed.
    """
    now, project_id = utc_now(), reach.project(given.project_id)
    if project_id is None:
        raise InputError("the number of a project is expected", "project_id")
    with current_store().read() as conn:
        monitor = queries.find_monitor(conn, project_id, given.slug, now)
        if monitor is None:
            raise Missing("the project has no monitor with this slug", "slug")
        ids = [
            one.id for one in monitor.environments if given.environment in (None, one.environment)
        ]
        runs = queries.runs_of(conn, ids, before=given.cursor, limit=given.limit + 1)
    _say(answer, monitor)
    answer.say(f"Page: {current_config().public_url}/admin/monitors/{project_id}/{monitor.slug}")
    answer.say(
        f"A run is missed after {number(monitor.checkin_margin, 'minute')}, and timed out after"
        f" {number(monitor.max_runtime, 'minute')}"
    )
    answer.quote(wrong_in_its_configuration=monitor.config_error)
    answer.say(number(min(len(runs), given.limit), "run") + ", the newest first.")
    if len(runs) > given.limit:
        answer.say(f"The next page has the cursor {runs[given.limit - 1].id}")
    for run in runs[: given.limit]:
        _say_run(answer, run, len(monitor.environments) > 1)


def _say(answer: Answer, monitor: Monitor) -> None:
    answer.say(
        f"Monitor in project {monitor.project_id}: {monitor.status}, last check-in"
        f" {at(monitor.last_checkin)}, next run expected {at(monitor.next_expected)}"
    )
    states = [f"{one.environment} {one.status}" for one in monitor.environments]
    answer.quote(
        slug=monitor.slug,
        name=monitor.name,
        schedule=monitor.schedule,
        environments=", ".join(states) if len(states) > 1 else "",
    )


def _say_run(answer: Answer, run: Row[Any], names_environment: bool) -> None:
    took = "" if run.duration_ms is None else f", took {run.duration_ms / 1000:.3f} s"
    expected = f", expected {at(run.expected_at)}" if run.expected_at else ""
    runs = number(run.runs, "run")
    many = f"; {runs} that ended so in this minute" if run.runs > 1 else ""
    more = f"; {runs} while this service was away" if run.away else many
    trace = f", trace {run.trace_id}" if run.trace_id else ""
    answer.say(f"{at(run.at)}: {run.status}{took}{expected}{trace}{more}")
    if names_environment or run.release:
        answer.quote(environment=run.environment if names_environment else "", release=run.release)
