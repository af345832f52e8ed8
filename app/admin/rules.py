"""Grouping rules: the list, the form of a rule, and trying a rule before it is saved."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import Connection
from wtforms import SelectChoice, SelectField

from app.admin import bp
from app.admin.model_form import form_of
from app.issues import rulebook
from app.issues.rule_text import parse_rule
from app.issues.rulebook import RuleError, RuleInput, StoredRule
from app.issues.trial import MAX_EVENTS, Trial, try_rule
from app.projects import list_projects
from app.web import access
from app.web.current import current_intake, current_store
from app.web.errors import or_404

UNKNOWN = "no rule has this id; it may have been deleted since"


class RuleForm(form_of(RuleInput, "kind", "text", "name")):  # type: ignore[misc]  # made above
    """The form of a rule."""

    project = SelectField("Project", coerce=int)

    def fields(self) -> dict[str, Any]:
        """Return the filled-in values as arguments of the rule book's functions."""
        given = {name: self[name].data or "" for name in ("kind", "text", "name")}
        return given | {"project_id": self.project.data or None}


@bp.route("/rules", methods=["GET", "POST"])
@access.configures
def list_of_rules() -> ResponseReturnValue:
    """Show all rules and the form of a new rule; try the rule or add it on POST (303)."""
    return _page(None)


@bp.route("/rules/<int:rule_id>", methods=["GET", "POST"])
@access.configures
def show_rule(rule_id: int) -> ResponseReturnValue:
    """Show a rule as a form; try the change or save it on POST (303).

    :raise 404: no rule has this id.
    """
    with current_store().read() as conn:
        rule = _find(conn, rule_id)
    return _page(rule)


@bp.post("/rules/<int:rule_id>/place")
@access.configures
def place_rule(rule_id: int) -> ResponseReturnValue:
    """Move a rule to another position (303)."""
    place = request.form.get("place", 1, int)
    with current_store().write() as conn:
        rulebook.place_rule(conn, _find(conn, rule_id).id, place)
    return _back()


@bp.post("/rules/<int:rule_id>/enabled")
@access.configures
def enable_rule(rule_id: int) -> ResponseReturnValue:
    """Switch a rule on or off (303)."""
    enabled = request.form.get("enabled") == "yes"
    with current_store().write() as conn:
        rulebook.change_rule(conn, _find(conn, rule_id), enabled=enabled)
    return _back()


@bp.post("/rules/<int:rule_id>/delete")
@access.configures
def delete_rule(rule_id: int) -> ResponseReturnValue:
    """Delete a rule (303); issues stay as they are."""
    with current_store().write() as conn:
        rulebook.remove_rule(conn, rule_id)
    flash("The rule is deleted; issues that it made stay as they are.", "note")
    return _back()


# ---- steps --------------------------------------------------------------------------------------


def _page(rule: StoredRule | None) -> ResponseReturnValue:
    form, trial = _form(rule), None
    status = 200
    if request.method == "POST":
        done = form.validate() and _do(form, rule)
        if done is True:
            return _back()
        trial = done or None
        status = 200 if trial else 422
    with current_store().read() as conn:
        rules, names = rulebook.list_rules(conn), _projects(conn)
    page = "rule.html" if rule else "rules.html"
    return render_template(
        page,
        rule=rule,
        rules=rules,
        form=form,
        trial=trial,
        projects=names,
        max_events=MAX_EVENTS,
    ), status


def _form(rule: StoredRule | None) -> RuleForm:
    given: dict[str, Any] = {}
    if rule is not None:
        given = {"kind": rule.kind, "text": rule.text, "name": rule.name}
        given["project"] = rule.project_id or 0
    form = RuleForm(data=given)
    with current_store().read() as conn:
        names = {0: "All projects", **_projects(conn)}
    form.project.choices = [SelectChoice(id, name) for id, name in names.items()]
    return form


def _do(form: RuleForm, rule: StoredRule | None) -> Trial | bool:
    """Return the trial of the filled-in rule, ``True`` once it is saved, ``False`` if invalid."""
    try:
        if request.form.get("do") == "try":
            return _try(form.fields(), rule)
        _keep(form.fields(), rule)
        return True
    except RuleError as error:
        form.blame((error.field or "text").removesuffix("_id"), str(error))
        return False


def _try(fields: dict[str, Any], rule: StoredRule | None) -> Trial:
    with current_store().read() as conn:
        values = rulebook.checked(conn, **fields)
        wanted = parse_rule(
            values.text, kind=values.kind, id=rule.id if rule else 0, name=values.name
        )
        kept = rulebook.list_rules(conn)
        return try_rule(conn, wanted, kept, project_id=values.project_id)


def _keep(fields: dict[str, Any], rule: StoredRule | None) -> None:
    with current_store().write() as conn:
        if rule is None:
            rulebook.add_rule(conn, **fields, created_by=current_user.username)
        else:
            rulebook.change_rule(conn, _find(conn, rule.id), **fields)
    flash("The rule is saved; it applies to events that come from now on.", "note")


def _find(conn: Connection, rule_id: int) -> StoredRule:
    return or_404(rulebook.find_rule(conn, rule_id), UNKNOWN)


def _projects(conn: Connection) -> dict[int, str]:
    return {project.id: project.name for project in list_projects(conn)}


def _back() -> ResponseReturnValue:
    current_intake().rules.forget()
    return redirect(url_for("admin.list_of_rules"), 303)
