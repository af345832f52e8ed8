"""Rules of alerts: the list with how each was found last, a new one, one of them as a form."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from sqlalchemy import Connection
from wtforms import (
    FloatField,
    IntegerField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
)
from wtforms.validators import Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from app.admin import bp
from app.admin.lookups import project_names
from app.alerts import rules
from app.alerts.channels import list_channels
from app.alerts.errors import AlertError
from app.alerts.kinds import KINDS, OF_THE_SERVICE, Kind
from app.alerts.queries import list_notifications
from app.alerts.rules import MAX_NAME, AlertRule
from app.issues.rules import MAX_PATTERN
from app.projects import OWN_PROJECT_ID
from app.protocol.event import LEVELS
from app.web import access
from app.web.current import current_config, current_store

UNKNOWN = "no rule has this id; it may have been deleted since"
NOTIFICATIONS_SHOWN = 10
ALL = "all projects"
STATES = {
    "unknown": "not evaluated yet",
    "ok": "quiet",
    "firing": "firing",
    "no_data": "no data",
}
_LIMITS = {
    "frequency": "{rule.threshold:,.0f} events of one issue",
    "spike": "{rule.threshold:g} times the usual of the hour",
    "error_rate": "above {rule.threshold:g} %",
    "p95": "above {rule.threshold:,g} ms",
    "crash_free": "below {rule.threshold:g} %",
    "outbox_age": "for {rule.threshold:g} minutes",
    "circuit_open": "for {rule.threshold:g} minutes",
    "disk": "below {rule.threshold:g} % free",
}
_FILTERS = ("level", "environment", "release", "type", "message")


class RuleForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """One rule; fields that its kind has not are taken away before it is shown."""

    name = StringField("Name", [Length(max=MAX_NAME)])
    threshold = FloatField("Threshold", [Optional()], render_kw={"inputmode": "decimal"})
    window_minutes = IntegerField(
        "Window in minutes", [Optional()], render_kw={"inputmode": "numeric"}
    )
    minimum = IntegerField("At least", [Optional()], render_kw={"inputmode": "numeric"})
    cooldown_minutes = IntegerField(
        "Cool-down in minutes",
        [Optional()],
        description="After a notice it says nothing for so long.",
        render_kw={"inputmode": "numeric"},
    )
    level = SelectField(
        "Level",
        choices=[
            SelectChoice("", "any"),
            *(SelectChoice(name, f"{name} or worse") for name in LEVELS),
        ],
        default="",
    )
    environment = StringField("Environment", [Length(max=MAX_PATTERN)])
    release = StringField(
        "Release", [Length(max=MAX_PATTERN)], render_kw={"placeholder": "shop@1.*"}
    )
    type = StringField("Type", [Length(max=MAX_PATTERN)], render_kw={"placeholder": "*Timeout*"})
    message = StringField(
        "Message",
        [Length(max=MAX_PATTERN)],
        description="* stands for any text.",
        render_kw={"placeholder": "*pool*"},
    )
    channels = SelectMultipleField(
        "Channels",
        coerce=int,
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
        description="None chosen: every channel that is on.",
    )

    @classmethod
    def of(cls, about: Kind, channels: list[tuple[int, str]], **given: Any) -> RuleForm:
        """Return the form of a kind."""
        form = cls(**given)
        form.channels.choices = [SelectChoice(id, name) for id, name in channels]
        for name in ("threshold", "window_minutes", "minimum"):
            if getattr(about, name) is None:
                delattr(form, name)
        for name in _FILTERS:
            if name not in about.filters:
                delattr(form, name)
        if form.threshold:
            form.threshold.label.text = f"Threshold, {about.unit}"
        if form.minimum:
            form.minimum.label.text = f"At least so many {about.of}"
        return form

    def fields(self) -> dict[str, Any]:
        """Return what was filled in, as rules take it."""
        names = ("name", "threshold", "window_minutes", "minimum", "cooldown_minutes")
        given = {name: self[name].data for name in names if name in self}
        filters = {name: self[name].data for name in _FILTERS if name in self}
        return given | {"filters": filters, "channel_ids": self.channels.data or None}

    def blame(self, error: AlertError) -> None:
        """Show what is wrong at its field."""
        name = error.field.removeprefix("filters.")
        field = self[name] if name in self else self.name
        text = str(error)
        field.errors = [*field.errors, f"{text[:1].upper()}{text[1:]}."]


@bp.get("/alerts/rules")
@access.admin
def list_of_alert_rules() -> ResponseReturnValue:
    """Show the rules of every project, or of one."""
    project_id = request.args.get("project", None, int)
    rules.ensure_presets(current_store())
    with current_store().read() as conn:
        found = rules.list_rules(conn, project_id)
        names = project_names(conn)
    return render_template(
        "alert_rules.html",
        rules=found,
        projects=names,
        project_id=project_id,
        kinds=KINDS,
        states=STATES,
        sentence=sentence_of,
        every_s=current_config().ALERTS_EVALUATE_EVERY_S,
    )


@bp.route("/alerts/rules/new", methods=["GET", "POST"])
@access.admin
def new_alert_rule() -> ResponseReturnValue:
    """Show the form of a kind; keep the rule on POST (303).

    :raise 404: there is no such kind.
    """
    kind = request.values.get("kind", "")
    about = KINDS.get(kind) or abort(404, description="there is no such kind of rule")
    project_id = _wanted_project(kind)
    with current_store().read() as conn:
        known = project_names(conn)
        name = ALL if project_id is None else known.get(project_id)
        channels = [(channel.id, channel.name) for channel in list_channels(conn)]
    if name is None:
        abort(404, description="no such project")
    form = RuleForm.of(about, channels, data=_beginning(about))
    if form.validate_on_submit() and (made := _add(form, project_id, kind)):
        flash("The rule is kept; it is evaluated from now on.", "note")
        return redirect(url_for("admin.show_alert_rule", rule_id=made.id), 303)
    page = render_template(
        "alert_rule_new.html", form=form, about=about, kind=kind, project_id=project_id, name=name
    )
    return page, 422 if form.errors else 200


@bp.route("/alerts/rules/<int:rule_id>", methods=["GET", "POST"])
@access.admin
def show_alert_rule(rule_id: int) -> ResponseReturnValue:
    """Show one rule as a form; change it on POST (303).

    :raise 404: no rule has this id.
    """
    with current_store().read() as conn:
        rule = _find(conn, rule_id)
        names = project_names(conn)
        channels = [(channel.id, channel.name) for channel in list_channels(conn)]
        told = list_notifications(conn, rule_id=rule_id, limit=NOTIFICATIONS_SHOWN)
    form = RuleForm.of(rule.about, channels, data=_filled(rule))
    if form.validate_on_submit() and _change(form, rule):
        flash("Saved.", "note")
        return redirect(url_for("admin.show_alert_rule", rule_id=rule_id), 303)
    page = render_template(
        "alert_rule.html",
        rule=rule,
        form=form,
        project=_project_name(names, rule),
        projects=names,
        states=STATES,
        sentence=sentence_of(rule),
        told=told,
    )
    return page, 422 if form.errors else 200


@bp.post("/alerts/rules/<int:rule_id>/enabled")
@access.admin
def enable_alert_rule(rule_id: int) -> ResponseReturnValue:
    """Switch a rule on or off (303)."""
    enabled = request.form.get("enabled") == "yes"
    with current_store().write() as conn:
        rule = rules.change_rule(conn, _find(conn, rule_id), {"enabled": enabled})
    if request.form.get("back") == "rule":
        return redirect(url_for("admin.show_alert_rule", rule_id=rule.id), 303)
    return redirect(url_for("admin.list_of_alert_rules"), 303)


@bp.post("/alerts/rules/<int:rule_id>/set-apart")
@access.admin
def set_alert_rule_apart(rule_id: int) -> ResponseReturnValue:
    """Give a project a recommended rule of its own, and lead to it (303)."""
    project_id = request.form.get("project", 0, int)
    with current_store().write() as conn:
        try:
            made = rules.set_apart(conn, _find(conn, rule_id), project_id, current_user.username)
        except AlertError as error:
            flash(f"Not set apart: {error}.", "warning")
            return redirect(url_for("admin.show_alert_rule", rule_id=rule_id), 303)
    flash("The project has this rule to itself now; changes here do not touch the others.", "note")
    return redirect(url_for("admin.show_alert_rule", rule_id=made.id), 303)


@bp.post("/alerts/rules/<int:rule_id>/delete")
@access.admin
def delete_alert_rule(rule_id: int) -> ResponseReturnValue:
    """Delete a rule that a person made, or one that was set apart (303)."""
    with current_store().write() as conn:
        try:
            rules.remove_rule(conn, _find(conn, rule_id))
            flash("The rule is deleted; its notices stay in the list.", "note")
        except AlertError as error:
            flash(f"Not deleted: {error}.", "warning")
    return redirect(url_for("admin.list_of_alert_rules"), 303)


def sentence_of(rule: AlertRule) -> str:
    """Return when a rule speaks, in a few words."""
    parts = [_LIMITS[rule.kind].format(rule=rule)] if rule.kind in _LIMITS else []
    if rule.window_minutes:
        parts.append(f"within {rule.window_minutes} minutes")
    if rule.minimum:
        parts.append(f"from {rule.minimum:,} {rule.about.of} on")
    for name, value in rule.filters.items():
        parts.append(f"{name} {value}{' or worse' if name == 'level' else ''}")
    return ", ".join(parts)


# ---- steps --------------------------------------------------------------------------------------


def _beginning(about: Kind) -> dict[str, Any]:
    names = ("threshold", "window_minutes", "minimum", "cooldown_minutes")
    return {name: getattr(about, name) for name in names}


def _project_name(names: dict[int, str], rule: AlertRule) -> str:
    return ALL if rule.project_id is None else names.get(rule.project_id, "a project")


def _filled(rule: AlertRule) -> dict[str, Any]:
    names = ("name", "threshold", "window_minutes", "minimum", "cooldown_minutes")
    given = {name: getattr(rule, name) for name in names}
    return given | rule.filters | {"channels": rule.channel_ids or []}


def _wanted_project(kind: str) -> int | None:
    if kind in OF_THE_SERVICE:
        return OWN_PROJECT_ID
    wanted = request.values.get("project", str(OWN_PROJECT_ID))
    return None if wanted == "all" else request.values.get("project", OWN_PROJECT_ID, int)


def _add(form: RuleForm, project_id: int | None, kind: str) -> AlertRule | None:
    try:
        with current_store().write() as conn:
            return rules.add_rule(
                conn,
                project_id=project_id,
                kind=kind,
                created_by=current_user.username,
                **form.fields(),
            )
    except AlertError as error:
        form.blame(error)
        return None


def _change(form: RuleForm, rule: AlertRule) -> bool:
    try:
        with current_store().write() as conn:
            rules.change_rule(conn, _find(conn, rule.id), form.fields())
        return True
    except AlertError as error:
        form.blame(error)
        return False


def _find(conn: Connection, rule_id: int) -> AlertRule:
    rule = rules.find_rule(conn, rule_id)
    if rule is None:
        abort(404, description=UNKNOWN)
    return rule
