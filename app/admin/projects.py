"""Projects: the list, a new one, and one with its keys, its upstream and its limits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import IntegerField, PasswordField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from app.admin import bp
from app.delivery.upstreams import WORDS, held_up_by, reach
from app.intake.refusals import refused_by_reason
from app.project_service import (
    MAX_DSN_LENGTH,
    MAX_EVENTS_PER_MINUTE,
    MAX_RETENTION_DAYS,
    Change,
    ProjectDetails,
    amend,
    find_details,
    list_details,
    register_project,
)
from app.projects import (
    MAX_NAME_LENGTH,
    OWN_PROJECT_ID,
    NoSuchProject,
    ProjectError,
    dsn_of,
    revoke_key,
    rotate_key,
)
from app.stats.item_counts import losses
from app.store import utc_now
from app.web import access
from app.web.current import current_config, current_destinations, current_store


class SettingsForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """What a project is called, may send and keeps."""

    name = StringField(
        "Name",
        [InputRequired("A project has a name."), Length(max=MAX_NAME_LENGTH)],
        render_kw={"autocomplete": "off"},
    )
    events_per_minute = IntegerField(
        "Events a minute",
        [Optional(), NumberRange(0, MAX_EVENTS_PER_MINUTE, "A number from 0 is expected.")],
        description="Beyond it the program is told to wait (429). 0 for no limit, empty for the"
        " default.",
        render_kw={"inputmode": "numeric"},
    )
    retention_days = IntegerField(
        "Kept for days",
        [Optional(), NumberRange(0, MAX_RETENTION_DAYS, "A number of days from 0 is expected.")],
        render_kw={"inputmode": "numeric"},
    )

    def change(self) -> Change:
        """Return what was asked for."""
        return {
            "name": self.name.data,
            "events_per_minute": self.events_per_minute.data,
            "retention_days": self.retention_days.data,
        }


class UpstreamForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """Where a project's events are sent on to. Never filled in: the DSN is not shown again."""

    upstream_dsn = PasswordField(
        "DSN of a Sentry project",
        [InputRequired("A DSN such as https://key@host/1 is expected."), Length(max=2000)],
        description="Kept and never shown again.",
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )


class NewProjectForm(SettingsForm):
    """A project to be made."""

    upstream_dsn = PasswordField(
        "DSN of a Sentry project",
        [Optional(), Length(max=MAX_DSN_LENGTH)],
        description="Where its events are sent on to. Empty to keep them here only.",
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )

    def change(self) -> Change:
        """Return what was asked for."""
        asked = super().change()
        if self.upstream_dsn.data:
            asked["upstream_dsn"] = self.upstream_dsn.data
        return asked


@bp.get("/projects")
@access.admin
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
    """Ask for a project; make it on POST and go on to its set-up page (303)."""
    form = NewProjectForm()
    if form.validate_on_submit():
        try:
            made = register_project(current_store(), current_config(), form.change())
            return redirect(url_for("admin.set_up_project", project_id=made), 303)
        except ProjectError as error:
            _tell(form, error)
    _explain_days(form)
    return render_template("project_new.html", form=form), 422 if form.errors else 200


@bp.route("/projects/<int:project_id>", methods=["GET", "POST"])
@access.admin
def show_project(project_id: int) -> ResponseReturnValue:
    """Show one project; change its name and limits on POST (303).

    :raise 404: there is no such project.
    """
    details = _found(project_id)
    form = SettingsForm(obj=details.project)
    if form.validate_on_submit():
        try:
            amend(current_store(), current_config(), project_id, form.change())
            flash("Saved.")
            return redirect(url_for("admin.show_project", project_id=project_id), 303)
        except ProjectError as error:
            _tell(form, error)
    return _page(details, form, UpstreamForm(formdata=None))


@bp.post("/projects/<int:project_id>/upstream")
@access.admin
def set_upstream(project_id: int) -> ResponseReturnValue:
    """Keep the DSN that a project's events are sent on to (303)."""
    details, form = _found(project_id), UpstreamForm()
    if form.validate():
        try:
            change: Change = {"upstream_dsn": form.upstream_dsn.data}
            amend(current_store(), current_config(), project_id, change)
            flash("Saved. What comes from now on is sent on.")
            return redirect(url_for("admin.show_project", project_id=project_id), 303)
        except ProjectError as error:
            _tell(form, error)
    return _page(details, SettingsForm(formdata=None, obj=details.project), form)


@bp.route("/projects/<int:project_id>/upstream/remove", methods=["GET", "POST"])
@access.admin
def remove_upstream(project_id: int) -> ResponseReturnValue:
    """Ask whether to send nothing on any more; do so on POST (303)."""
    details, form = _found(project_id), FlaskForm()
    if project_id == OWN_PROJECT_ID or details.destination.dsn is None:
        abort(404, description="this project has no DSN that could be taken away here")
    if not form.validate_on_submit():
        return render_template("project_upstream_remove.html", one=details)
    amend(current_store(), current_config(), project_id, {"upstream_dsn": None})
    flash("Nothing is sent on any more.")
    return redirect(url_for("admin.show_project", project_id=project_id), 303)


@bp.post("/projects/<int:project_id>/keys")
@access.admin
def add_key(project_id: int) -> ResponseReturnValue:
    """Make another key (303); the old ones work until they are revoked."""
    _found(project_id)
    rotate_key(current_store(), project_id)
    flash("Made. The keys before it work until they are revoked.")
    return redirect(url_for("admin.show_project", project_id=project_id, _anchor="keys"), 303)


@bp.route("/projects/<int:project_id>/keys/<key>/revoke", methods=["GET", "POST"])
@access.admin
def revoke_project_key(project_id: int, key: str) -> ResponseReturnValue:
    """Ask whether a key is to stop working; have it so on POST (303).

    :raise 404: the project has no such key that works.
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
    try:
        with current_store().read() as conn:
            return find_details(conn, current_destinations(), project_id)
    except NoSuchProject as error:
        abort(404, description=str(error))


def _page(one: ProjectDetails, form: SettingsForm, upstream: UpstreamForm) -> ResponseReturnValue:
    _explain_days(form)
    project, config, now = one.project, current_config(), utc_now()
    with current_store().read() as conn:
        lost = losses(conn, project.id)
        refused = refused_by_reason(conn, project.id)
    page = render_template(
        "project.html",
        one=one,
        form=form,
        upstream=upstream,
        badge=_badge(one, now),
        cause=held_up_by(one.destination, "", now) or one.destination.cause or "",
        dsns={key: dsn_of(config.public_url, project.id, key) for key in project.keys},
        is_own=project.id == OWN_PROJECT_ID,
        losses=lost,
        refused=refused,
        default_quota=config.DEFAULT_EVENTS_PER_MINUTE,
    )
    return page, 422 if form.errors or upstream.errors else 200


def _badge(one: ProjectDetails, now: datetime) -> tuple[str, str]:
    """Return state and words of a project's badge."""
    state = reach(one.destination, now)
    return {"none": "local", "closed": "on"}.get(state, state), WORDS[state]


def _explain_days(form: SettingsForm) -> None:
    days = current_config().RETENTION_DAYS
    usual = f"{days} days" if days else "any number of them"
    form.retention_days.description = f"0 for no limit. Empty for RETENTION_DAYS: {usual}."


def _tell(form: Any, error: ProjectError) -> None:
    field = form[error.field] if error.field in form else next(iter(form))
    text = str(error)
    field.errors = (*field.errors, f"{text[:1].upper()}{text[1:]}.")
