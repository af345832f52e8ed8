"""Projects: the list, a new project, and a project with its keys, its upstream DSN, its limits."""

from __future__ import annotations

from datetime import datetime

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from app.admin import bp
from app.admin.last_project import remember
from app.admin.model_form import ModelForm, form_of
from app.confirmation.reading import tallies
from app.delivery.upstreams import WORDS, held_up_by, reach
from app.insights.losses import lost_lately
from app.intake.refusals import refused_by_reason
from app.project_service.changing import amend, register_project
from app.project_service.details import ProjectDetails, find_details, list_details
from app.project_service.inputs import ProjectChange
from app.projects import (
    OWN_PROJECT_ID,
    ProjectError,
    archive_project,
    delete_project,
    dsn_of,
    restore_project,
    revoke_key,
    rotate_key,
)
from app.store import utc_now
from app.web import access
from app.web.current import current_config, current_destinations, current_store

SettingsForm = form_of(ProjectChange, "name", "events_per_minute", "retention_days", "source_url")
# The form never shows the stored DSN.
UpstreamForm = form_of(ProjectChange, "upstream_dsn", required=("upstream_dsn",))
ApiForm = form_of(ProjectChange, "upstream_api_token", "upstream_org", "upstream_api_url")
NewProjectForm = form_of(
    ProjectChange, "name", "upstream_dsn", "events_per_minute", "retention_days"
)


@bp.get("/projects")
@access.views
def list_of_projects() -> ResponseReturnValue:
    """Show every project."""
    now = utc_now()
    with current_store().read() as conn:
        found = list_details(conn, current_destinations())
    rows = [(details, *_badge(details, now)) for details in found]
    default = current_config().DEFAULT_EVENTS_PER_MINUTE
    return render_template("projects.html", rows=rows, default_quota=default)


@bp.route("/projects/new", methods=["GET", "POST"])
@access.admin
def new_project() -> ResponseReturnValue:
    """Show the form of a new project; make it on POST and redirect to its set-up page (303)."""
    form = NewProjectForm()
    form.upstream_dsn.description += " Empty to keep them here only."
    if form.validate_on_submit():
        try:
            made = register_project(current_store(), current_config(), form.values())
            return redirect(url_for("admin.set_up_project", project_id=made), 303)
        except ProjectError as error:
            form.blame(error.field, str(error))
    _explain_days(form)
    return render_template("project_new.html", form=form), 422 if form.errors else 200


@bp.route("/projects/<int:project_id>", methods=["GET", "POST"])
@access.configures
def show_project(project_id: int) -> ResponseReturnValue:
    """Show a project; change its name and limits on POST (303).

    :raise 404: there is no such project.
    """
    details = _found(project_id)
    remember(project_id)
    form = SettingsForm(obj=details.project)
    if form.validate_on_submit():
        try:
            amend(current_store(), current_config(), project_id, form.values())
            flash("Saved.")
            return redirect(url_for("admin.show_project", project_id=project_id), 303)
        except ProjectError as error:
            form.blame(error.field, str(error))
    return _page(details, form, UpstreamForm(formdata=None))


@bp.post("/projects/<int:project_id>/upstream")
@access.configures
def set_upstream(project_id: int) -> ResponseReturnValue:
    """Store the DSN that a project's envelopes are forwarded to (303)."""
    details, form = _found(project_id), UpstreamForm()
    if form.validate():
        try:
            amend(current_store(), current_config(), project_id, form.values())
            flash("Saved. What comes from now on is sent on.")
            return redirect(url_for("admin.show_project", project_id=project_id), 303)
        except ProjectError as error:
            form.blame(error.field, str(error))
    return _page(details, SettingsForm(formdata=None, obj=details.project), form)


@bp.post("/projects/<int:project_id>/api")
@access.configures
def set_upstream_api(project_id: int) -> ResponseReturnValue:
    """Store by which API of Sentry a project's events are confirmed (303)."""
    details, form = _found(project_id), ApiForm()
    if form.validate():
        change = form.values()
        if not change["upstream_api_token"] and "remove_token" not in request.form:
            del change["upstream_api_token"]  # The stored one is not shown, so it stays.
        try:
            amend(current_store(), current_config(), project_id, change)
            flash("Saved.")
            return redirect(url_for("admin.show_project", project_id=project_id), 303)
        except ProjectError as error:
            form.blame(error.field, str(error))
    settings = SettingsForm(formdata=None, obj=details.project)
    return _page(details, settings, UpstreamForm(formdata=None), form)


@bp.route("/projects/<int:project_id>/upstream/remove", methods=["GET", "POST"])
@access.admin
def remove_upstream(project_id: int) -> ResponseReturnValue:
    """Ask whether to stop forwarding; remove the upstream DSN on POST (303).

    :raise 404: the project has no DSN that can be removed here.
    """
    details, form = _found(project_id), FlaskForm()
    if project_id == OWN_PROJECT_ID or details.destination.dsn is None:
        abort(404, description="this project has no DSN that could be taken away here")
    if not form.validate_on_submit():
        return render_template("project_upstream_remove.html", one=details)
    amend(current_store(), current_config(), project_id, {"upstream_dsn": None})
    flash("Nothing is sent on any more.")
    return redirect(url_for("admin.show_project", project_id=project_id), 303)


@bp.route("/projects/<int:project_id>/end", methods=["GET", "POST"])
@access.admin
def end_project(project_id: int) -> ResponseReturnValue:
    """Ask whether to archive or to delete a project; do it on POST (303).

    :raise 404: the project is this application, or does not exist.
    """
    details, form = _found(project_id), FlaskForm()
    if project_id == OWN_PROJECT_ID:
        abort(404, description="this application can be neither archived nor deleted")
    wrong_name = False
    if form.validate_on_submit():
        if request.form.get("action") == "archive":
            archive_project(current_store(), project_id)
            flash("Archived. Programs that use its keys are answered 403.")
            return redirect(url_for("admin.show_project", project_id=project_id), 303)
        wrong_name = request.form.get("name", "").strip() != details.project.name
        if not wrong_name:
            delete_project(current_store(), project_id)
            flash(f"{details.project.name} is deleted. Its data is removed in the background.")
            return redirect(url_for("admin.list_of_projects"), 303)
    page = render_template("project_end.html", one=details, wrong_name=wrong_name)
    return page, 422 if wrong_name else 200


@bp.post("/projects/<int:project_id>/restore")
@access.configures
def restore_archived_project(project_id: int) -> ResponseReturnValue:
    """Let an archived project accept events again (303)."""
    _found(project_id)
    restore_project(current_store(), project_id)
    flash("Restored. Its keys work again.")
    return redirect(url_for("admin.show_project", project_id=project_id), 303)


@bp.post("/projects/<int:project_id>/keys")
@access.configures
def add_key(project_id: int) -> ResponseReturnValue:
    """Make another key (303); the old keys work until they are revoked."""
    _found(project_id)
    rotate_key(current_store(), project_id)
    flash("Made. The keys before it work until they are revoked.")
    return redirect(url_for("admin.show_project", project_id=project_id, _anchor="keys"), 303)


@bp.route("/projects/<int:project_id>/keys/<key>/revoke", methods=["GET", "POST"])
@access.admin
def revoke_project_key(project_id: int, key: str) -> ResponseReturnValue:
    """Ask whether to revoke a key; revoke it on POST (303).

    :raise 404: the project has no working key of this name.
    """
    details, form = _found(project_id), FlaskForm()
    if key not in details.project.keys:
        abort(404, description="the project has no such key that works")
    if not form.validate_on_submit():
        return render_template("project_key_revoke.html", one=details, key=key)
    revoke_key(current_store(), project_id, key)
    flash("Revoked. Programs that still use it are answered 403.")
    return redirect(url_for("admin.show_project", project_id=project_id, _anchor="keys"), 303)


def _found(project_id: int) -> ProjectDetails:
    with current_store().read() as conn:
        return find_details(conn, current_destinations(), project_id)


def _page(
    one: ProjectDetails, form: ModelForm, upstream: ModelForm, api: ModelForm | None = None
) -> ResponseReturnValue:
    _explain_days(form)
    api = api or _api_form(one)
    project, config, now = one.project, current_config(), utc_now()
    with current_store().read() as conn:
        lost = lost_lately(conn, utc_now(), project.id)
        refused = refused_by_reason(conn, project.id)
        asked = next(iter(tallies(conn, [one.destination], current_destinations(), now)), None)
    page = render_template(
        "project.html",
        one=one,
        form=form,
        upstream=upstream,
        api=api,
        asked=asked,
        badge=_badge(one, now),
        cause=held_up_by(one.destination, "", now) or one.destination.cause or "",
        dsns={key: dsn_of(config.public_url, project.id, key) for key in project.keys},
        is_own=project.id == OWN_PROJECT_ID,
        losses=lost,
        refused=refused,
        default_quota=config.DEFAULT_EVENTS_PER_MINUTE,
    )
    return page, 422 if form.errors or upstream.errors or api.errors else 200


def _api_form(one: ProjectDetails) -> ModelForm:
    """Return the form of Sentry's API. It never shows the stored token."""
    given = one.destination.api
    form: ModelForm = ApiForm(formdata=None)
    form.upstream_org.data, form.upstream_api_url.data = given.org or "", given.url or ""
    return form


def _badge(one: ProjectDetails, now: datetime) -> tuple[str, str]:
    """Return the state and the words of a project's badge."""
    state = reach(one.destination, now)
    return {"none": "local", "closed": "on"}.get(state, state), WORDS[state]


def _explain_days(form: ModelForm) -> None:
    days = current_config().RETENTION_DAYS
    usual = f"{days} days" if days else "any number of them"
    form.retention_days.description = f"0 for no limit. Empty for RETENTION_DAYS: {usual}."
