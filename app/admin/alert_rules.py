"""Alert rules: the list with the last evaluation of each, the form of a new or existing rule."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import Connection
from wtforms import (
    FloatField,
    IntegerField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
)
from wtforms.validators import Optional
from wtforms.widgets import CheckboxInput, ListWidget

from app.admin import bp
from app.admin.alerts import AlertForm
from app.admin.lookups import project_names
from app.alerts.channels.stored import list_channels
from app.alerts.errors import AlertError
from app.alerts.queries import list_notifications
from app.alerts.rules import changes
from app.alerts.rules.inputs import AlertRuleInput
from app.alerts.rules.kind import ALL_FILTERS, KINDS, RuleKind
from app.alerts.rules.stored import AlertRule, find_rule, list_rules
from app.projects import OWN_PROJECT_ID
from app.protocol.event import LEVELS
from app.web import access
from app.web.current import current_config, current_store

UNKNOWN = "no rule has this id; it may have been deleted since"
NOTIFICATIONS_SHOWN = 10
ALL = "all projects"
STATES = {
    "unknown": "not evaluated yet",
    "ok": "OK",
    "firing": "firing",
    "no_data": "no data",
}


def _whole_number(label: str, help: str = "") -> IntegerField:
    attributes = {"inputmode": "numeric"}
    return IntegerField(label, [Optional()], description=help, render_kw=attributes)


class RuleForm(AlertForm):
    """The form of a rule; :meth:`of` removes the fields that the rule's kind does not have."""

    name = StringField("Name")
    threshold = FloatField("Threshold", [Optional()], render_kw={"inputmode": "decimal"})
    window_minutes = _whole_number("Window in minutes")
    minimum = _whole_number("At least")
    cooldown_minutes = _whole_number(
        "Cool-down in minutes", "How long the rule stays silent after a notification."
    )
    level = SelectField(
        "Level",
        choices=[
            SelectChoice("", "any"),
            *(SelectChoice(name, f"{name} or worse") for name in LEVELS),
        ],
        default="",
    )
    environment = StringField("Environment")
    release = StringField("Release", render_kw={"placeholder": "shop@1.*"})
    type = StringField("Type", render_kw={"placeholder": "*Timeout*"})
    message = StringField(
        "Message",
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
    def of(cls, about: RuleKind, channels: list[tuple[int, str]], **given: Any) -> RuleForm:
        """Return the form of a kind of rule.

        :param channels: id and name of each channel that can be chosen.
        :param given: passed to the form, such as ``data``.
        """
        form = cls(**given)
        form.channels.choices = [SelectChoice(id, name) for id, name in channels]
        defaults = about.defaults()
        for name in (*defaults, *ALL_FILTERS):
            if name not in about.filters and defaults.get(name) is None:
                delattr(form, name)
        if form.threshold:
            form.threshold.label.text = f"Threshold, {about.unit}"
        if form.minimum:
            form.minimum.label.text = f"At least so many {about.counted}"
        return form

    def fields(self) -> dict[str, Any]:
        """Return the filled-in values as fields of :class:`AlertRuleInput`."""
        given = {name: self[name].data for name in AlertRuleInput.model_fields if name in self}
        filters = {name: self[name].data for name in ALL_FILTERS if name in self}
        return given | {"filters": filters, "channel_ids": self.channels.data or None}


@bp.get("/alerts/rules")
@access.configures
def list_of_alert_rules() -> ResponseReturnValue:
    """Show the rules of all projects, or of one project."""
    project_id = request.args.get("project", None, int)
    changes.ensure_presets(current_store())
    with current_store().read() as conn:
        found = list_rules(conn, project_id)
        names = project_names(conn)
    return render_template(
        "alert_rules.html",
        rules=found,
        projects=names,
        project_id=project_id,
        kinds=KINDS,
        states=STATES,
        every_s=current_config().ALERTS_EVALUATE_EVERY_S,
    )


@bp.route("/alerts/rules/new", methods=["GET", "POST"])
@access.admin
def new_alert_rule() -> ResponseReturnValue:
    """Show the form of a new rule; add the rule on POST (303).

    :raise 404: there is no such kind.
    """
    kind = request.values.get("kind", "")
    about = KINDS.get(kind) or abort(404, description="there is no such kind of rule")
    project_id = _wanted_project(about)
    with current_store().read() as conn:
        known = project_names(conn)
        name = ALL if project_id is None else known.get(project_id)
        channels = [(channel.id, channel.name) for channel in list_channels(conn)]
    if name is None:
        abort(404, description="no such project")
    form = RuleForm.of(about, channels, data=about.defaults())
    if form.validate_on_submit() and (made := _add(form, project_id, about)):
        flash("The rule is kept; it is evaluated from now on.", "note")
        return redirect(url_for("admin.show_alert_rule", rule_id=made.id), 303)
    page = render_template(
        "alert_rule_new.html", form=form, about=about, project_id=project_id, name=name
    )
    return page, 422 if form.errors else 200


@bp.route("/alerts/rules/<int:rule_id>", methods=["GET", "POST"])
@access.configures
def show_alert_rule(rule_id: int) -> ResponseReturnValue:
    """Show a rule as a form; change it on POST (303).

    :raise 404: no rule has this id.
    """
    with current_store().read() as conn:
        rule = _find(conn, rule_id)
        names = project_names(conn)
        channels = [(channel.id, channel.name) for channel in list_channels(conn)]
        found = list_notifications(conn, rule_id=rule_id, limit=NOTIFICATIONS_SHOWN)
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
        notifications=found,
    )
    return page, 422 if form.errors else 200


@bp.post("/alerts/rules/<int:rule_id>/enabled")
@access.configures
def enable_alert_rule(rule_id: int) -> ResponseReturnValue:
    """Switch a rule on or off (303)."""
    enabled = request.form.get("enabled") == "yes"
    with current_store().write() as conn:
        rule = changes.change_rule(conn, _find(conn, rule_id), {"enabled": enabled})
    if request.form.get("back") == "rule":
        return redirect(url_for("admin.show_alert_rule", rule_id=rule.id), 303)
    return redirect(url_for("admin.list_of_alert_rules"), 303)


@bp.post("/alerts/rules/<int:rule_id>/set-apart")
@access.configures
def set_alert_rule_apart(rule_id: int) -> ResponseReturnValue:
    """Copy a recommended rule for one project, and redirect to the copy (303)."""
    project_id = request.form.get("project", 0, int)
    with current_store().write() as conn:
        try:
            made = changes.set_apart(conn, _find(conn, rule_id), project_id, current_user.username)
        except AlertError as error:
            flash(f"Not set apart: {error}.", "warning")
            return redirect(url_for("admin.show_alert_rule", rule_id=rule_id), 303)
    flash("The project has this rule to itself now; changes here do not touch the others.", "note")
    return redirect(url_for("admin.show_alert_rule", rule_id=made.id), 303)


@bp.post("/alerts/rules/<int:rule_id>/delete")
@access.configures
def delete_alert_rule(rule_id: int) -> ResponseReturnValue:
    """Delete a rule that a person made, or a project's copy of a recommended rule (303)."""
    with current_store().write() as conn:
        try:
            changes.remove_rule(conn, _find(conn, rule_id))
            flash("The rule is deleted; its notifications stay in the list.", "note")
        except AlertError as error:
            flash(f"Not deleted: {error}.", "warning")
    return redirect(url_for("admin.list_of_alert_rules"), 303)


# ---- steps --------------------------------------------------------------------------------------


def _project_name(names: dict[int, str], rule: AlertRule) -> str:
    return ALL if rule.project_id is None else names.get(rule.project_id, "a project")


def _filled(rule: AlertRule) -> dict[str, Any]:
    given = {name: getattr(rule, name) for name in ("name", *rule.about.defaults())}
    return given | rule.filters | {"channels": rule.channel_ids or []}


def _wanted_project(kind: RuleKind) -> int | None:
    if kind.is_of_service:
        return OWN_PROJECT_ID
    wanted = request.values.get("project", str(OWN_PROJECT_ID))
    return None if wanted == "all" else request.values.get("project", OWN_PROJECT_ID, int)


def _add(form: RuleForm, project_id: int | None, kind: RuleKind) -> AlertRule | None:
    with form.errors_at_fields(), current_store().write() as conn:
        return changes.add_rule(conn, kind, project_id, form.fields(), current_user.username)
    return None


def _change(form: RuleForm, rule: AlertRule) -> bool:
    with form.errors_at_fields(), current_store().write() as conn:
        changes.change_rule(conn, _find(conn, rule.id), form.fields())
    return not form.errors


def _find(conn: Connection, rule_id: int) -> AlertRule:
    return find_rule(conn, rule_id) or abort(404, description=UNKNOWN)
