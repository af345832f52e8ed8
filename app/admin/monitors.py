"""Monitors: the list, and one with its runs and what is expected of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import Connection, Row, and_, select

from app.admin import bp
from app.admin.filter_bar import row_number
from app.admin.last_project import look_at, named_project
from app.admin.lookups import project_names
from app.admin.monitor_form import MonitorForm, NewMonitorForm
from app.admin.monitor_lines import lines_of, python_lines
from app.admin.run_bars import SHOWN, SHOWN_IN_LIST, kind_of, run_bars, took, words_of
from app.admin.run_errors import ENDED_BADLY, RunErrors, Way, errors_of, failed_run
from app.alerts import monitor_alerts
from app.inputs import InputError
from app.monitors import changes, queries
from app.monitors.rate import MAX_RUNS_A_MINUTE
from app.monitors.recording import REASONS, left_out
from app.monitors.settings import MonitorSettings
from app.projects.tables import project_keys, projects
from app.store import utc_now
from app.web import access
from app.web.current import current_config, current_store
from app.web.errors import or_404

UNKNOWN = "the project has no monitor with this slug; it may have been deleted since"
UNKNOWN_ENVIRONMENT = "the monitor has no such environment; it may have been deleted since"
UNKNOWN_RUN = "the monitor has no such run; old runs are removed"
PAGE_SIZE = 50
# In the list, of each monitor.
ENVIRONMENTS_SHOWN = 3
STATES = {"error": "failed", "timeout": "timed out"}
PATH = "/monitors/<int:project_id>/<slug>"


@bp.get("/monitors")
@access.views
def list_of_monitors() -> ResponseReturnValue:
    """Show the monitors of all projects, or of one project."""
    now, after, project_id = utc_now(), row_number("after"), named_project()
    with current_store().read() as conn:
        names = project_names(conn)
        rows, following = queries.list_monitors(
            conn, now, project_id, after=after, limit=PAGE_SIZE, failing_first=True
        )
        ids = [one.id for monitor in rows for one in monitor.environments[:ENVIRONMENTS_SHOWN]]
        latest = queries.latest_runs(conn, ids, SHOWN_IN_LIST)
        lost = left_out(conn, names if project_id is None else [project_id])
        key = None if rows else _name_and_key(conn, project_id or min(names, default=1))[1]
    return render_template(
        "monitors.html",
        monitors=rows,
        bars={id: run_bars(runs, SHOWN_IN_LIST) for id, runs in latest.items()},
        shown=ENVIRONMENTS_SHOWN,
        projects=names,
        project_id=project_id,
        older=following,
        is_first=after is None,
        lost=lost,
        reasons=REASONS,
        states=STATES,
        url=_url(project_id or min(names, default=1), "nightly-report", key),
        python_lines=python_lines("nightly-report"),
    )


@bp.route(PATH, methods=["GET", "POST"])
@access.configures
def show_monitor(project_id: int, slug: str) -> ResponseReturnValue:
    """Show a monitor; change what is expected of it on POST (303).

    :raise 404: the project has no monitor with this slug, or that has no run with this number.
    """
    now, before = utc_now(), row_number("before")
    with current_store().read() as conn:
        monitor = or_404(queries.find_monitor(conn, project_id, slug, now), UNKNOWN)
        ids = [one.id for one in monitor.environments]
        runs = queries.runs_of(conn, ids, before=before, limit=PAGE_SIZE + 1)
        latest = queries.latest_runs(conn, ids, SHOWN)
        chosen = _chosen_run(conn, ids, runs)
        shown, longest = chosen or failed_run(runs), timedelta(minutes=monitor.max_runtime)
        errors = RunErrors([], [])
        if shown is not None:
            errors = errors_of(conn, project_id, monitor.slug, shown, longest)
        project, key = _name_and_key(conn, project_id)
    look_at(project_id)
    form = MonitorForm.filled(monitor)
    if form.validate_on_submit() and _change(form, project_id, slug, form.fields()):
        return _back(project_id, slug, "Saved.")
    page = render_template(
        "monitor.html",
        monitor=monitor,
        runs=runs[:PAGE_SIZE],
        older=runs[PAGE_SIZE - 1].id if len(runs) > PAGE_SIZE else None,
        is_first=before is None,
        before=before,
        bars={state_id: run_bars(rows) for state_id, rows in latest.items()},
        shown=shown,
        is_chosen=chosen is not None,
        form=form,
        states=STATES,
        kind_of=kind_of,
        words_of=words_of,
        took=took,
        ended_badly=ENDED_BADLY,
        errors=errors.rows,
        errors_links=[(way.words, _link(way, project_id)) for way in errors.ways],
        runs_a_minute=MAX_RUNS_A_MINUTE,
        project=project,
        url=_url(project_id, monitor.slug, key),
        python_lines=lines_of(monitor),
    )
    return page, 422 if form.errors else 200


@bp.route("/monitors/new", methods=["GET", "POST"])
@access.admin
def new_monitor() -> ResponseReturnValue:
    """Show the form of a new monitor; add it on POST (303)."""
    with current_store().read() as conn:
        names = project_names(conn)
    form = NewMonitorForm.of(names, named_project() or min(names, default=None))
    if form.validate_on_submit() and (row := _add(form)) is not None:
        said = "The monitor is kept. Its first run is expected after its first check-in."
        return _back(row.project_id, row.slug, said)
    return render_template("monitor_new.html", form=form), 422 if form.errors else 200


@bp.post(f"{PATH}/change")
@access.configures
def change_monitor(project_id: int, slug: str) -> ResponseReturnValue:
    """Pause a monitor, go on with it, or let the program manage it again (303)."""
    done: dict[str, tuple[dict[str, Any], str]] = {
        "pause": ({"paused": True}, "Paused: runs are recorded, and raise nothing."),
        "resume": ({"paused": False}, "It is watched again."),
        "manage": ({"managed_by": "sdk"}, "The next check-in with a configuration changes it."),
    }
    given, said = done.get(request.form.get("do", ""), ({}, "Nothing was changed."))
    _change(None, project_id, slug, given)
    return _back(project_id, slug, said)


@bp.post(f"{PATH}/delete")
@access.configures
def delete_monitor(project_id: int, slug: str) -> ResponseReturnValue:
    """Delete a monitor with its runs (303)."""
    with current_store().write() as conn:
        row = or_404(queries.find_row(conn, project_id, slug), UNKNOWN)
        monitor_alerts.delete_monitor(conn, row, utc_now())
    flash("The monitor is deleted. Another check-in makes it again.", "note")
    return redirect(url_for("admin.list_of_monitors"), 303)


@bp.post(f"{PATH}/environments/delete")
@access.configures
def delete_monitor_environment(project_id: int, slug: str) -> ResponseReturnValue:
    """Delete an environment of a monitor with its runs (303)."""
    name = request.form.get("environment", "")
    with current_store().write() as conn:
        row = or_404(queries.find_row(conn, project_id, slug), UNKNOWN)
        state = or_404(queries.find_state(conn, row.id, name), UNKNOWN_ENVIRONMENT)
        monitor_alerts.delete_environment(conn, row, state, utc_now())
    return _back(project_id, slug, f"{name} is deleted. Another check-in makes it again.")


# ---- steps --------------------------------------------------------------------------------------


def _add(form: NewMonitorForm) -> Row[Any] | None:
    settings = MonitorSettings.model_validate(form.fields())
    project_id, slug = form.project.data, form.slug.data
    try:
        with current_store().write() as conn:
            return changes.add_monitor(
                conn, project_id, slug, settings, current_user.username, utc_now()
            )
    except InputError as error:
        form.blame((error.field or "slug").removesuffix("_id"), str(error))
        return None


def _chosen_run(conn: Connection, ids: list[int], runs: list[Row[Any]]) -> Row[Any] | None:
    """Return the run that the address names, ``None`` if it names none."""
    if not request.args.get("run"):
        return None
    run_id = row_number("run") or 0
    listed = next((run for run in runs if run.id == run_id), None)
    return or_404(listed or queries.find_run(conn, ids, run_id), UNKNOWN_RUN)


def _link(way: Way, project_id: int) -> str:
    """Return the address of the list of the errors that are found in a way."""
    start, end = way.range.start, way.range.end
    when: dict[str, Any] = {"period": "all"}
    if start is not None and end is not None:
        when = {"start": start.isoformat(), "end": end.isoformat()}
    return url_for("admin.list_of_events", query=way.query, project=project_id, **when)


def _change(form: MonitorForm | None, project_id: int, slug: str, given: dict[str, Any]) -> bool:
    try:
        with current_store().write() as conn:
            row = or_404(queries.find_row(conn, project_id, slug), UNKNOWN)
            changes.change_monitor(conn, row, given, utc_now())
    except InputError as error:
        if form is not None:
            form.blame(error.field, str(error))
        return False
    return True


def _name_and_key(conn: Connection, project_id: int) -> tuple[str, str | None]:
    """Return the name of a project, and the newest of its valid keys if there is one."""
    of_it = project_keys.c.project_id == projects.c.id, project_keys.c.revoked_at.is_(None)
    query = select(projects.c.name, project_keys.c.public_key).outerjoin(project_keys, and_(*of_it))
    newest = query.where(projects.c.id == project_id).order_by(project_keys.c.id.desc()).limit(1)
    return tuple(conn.execute(newest).first() or ("a project", None))


def _url(project_id: int, slug: str, key: str | None) -> str:
    base = current_config().public_url.rstrip("/")
    return f"{base}/api/{project_id}/cron/{slug}/{key or '<key>'}/"


def _back(project_id: int, slug: str, said: str) -> ResponseReturnValue:
    flash(said, "note")
    return redirect(url_for("admin.show_monitor", project_id=project_id, slug=slug), 303)
