"""Rules of alerts: what is watched in each project, and how each was evaluated last."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from flask import abort
from pydantic import BaseModel
from sqlalchemy import Connection

from app.alerts.rules import changes
from app.alerts.rules.inputs import AlertFilters, AlertRuleInput
from app.alerts.rules.kind import KINDS
from app.alerts.rules.stored import AlertRule, find_rule, list_rules
from app.api.alerts import one_of
from app.api.requests import Body, ProjectId, Query, patch_of
from app.api.routes import Routes
from app.web import access
from app.web.current import current_store

UNKNOWN = "no rule has this id"
RuleKind = Annotated[str, one_of(KINDS)]

route = Routes("alerts")


class LastEvaluation(BaseModel):
    """What the last evaluation of a rule found."""

    state: Literal["unknown", "ok", "firing", "no_data"]
    value: float | None
    detail: str | None
    evaluated_at: datetime | None
    noticed_at: datetime | None
    held: int


class WatchRuleState(LastEvaluation):
    """How a rule was found in a project; `held` issues are told when its cool-down is over."""

    project_id: int


class WatchRule(LastEvaluation):
    """A rule; `preset` names a recommended one, `state` how it was found last.

    `project_id` null: of all projects. Then `by_project` has how it was found in each, and `state`
    is that of the worst, unless one project was asked for.
    """

    id: int
    project_id: int | None
    kind: RuleKind
    preset: str | None
    name: str
    enabled: bool
    threshold: float | None
    unit: str
    minimum: int | None
    window_minutes: int | None
    cooldown_minutes: int
    filters: AlertFilters
    channel_ids: list[int] | None
    by_project: list[WatchRuleState]
    created_at: datetime
    created_by: str | None


class WatchRuleList(BaseModel):
    """Rules, those of all projects first."""

    rules: list[WatchRule]
    next: str | None = None


class WatchRuleQuery(Query):
    """Which rules: with `project_id` those that are in force there."""

    project_id: ProjectId | None = None


_CLEARABLE = ("name", "filters", "channel_ids")


class WatchRuleChange(patch_of(AlertRuleInput, _CLEARABLE)):  # type: ignore[misc]  # made here
    """What is to be changed of a rule."""


class WatchRuleBody(AlertRuleInput, Body):
    """A new rule; what is null or not named starts as its kind says.

    `project_id` null: of all projects, also of those that come later.
    """

    project_id: ProjectId | None
    kind: RuleKind


class SetApartBody(Body):
    """The project that is to have its own."""

    project_id: ProjectId


@route("GET /api/alerts/rules", access.reads)
def get_alert_rules(query: WatchRuleQuery) -> WatchRuleList:
    """Rules of alerts, each as it was evaluated last."""
    changes.ensure_presets(current_store())
    with current_store().read() as conn:
        found = list_rules(conn, query.project_id)
    return WatchRuleList(rules=[_shape(rule) for rule in found])


@route("POST /api/alerts/rules", access.writes, status=201)
def post_alert_rule(body: WatchRuleBody) -> WatchRule:
    """Add a rule.

    :raise AlertError: a field is wrong, or not one of its kind (422).
    """
    kind = KINDS[body.kind]
    given = body.model_dump(exclude={"project_id", "kind"}, exclude_none=True)
    with current_store().write() as conn:
        made = changes.add_rule(conn, kind, body.project_id, given, access.caller())
    return _shape(made)


@route("PATCH /api/alerts/rules/<int:rule_id>", access.writes)
def patch_alert_rule(rule_id: int, body: WatchRuleChange) -> WatchRule:
    """Change a rule, switch it on or off.

    :raise 404: no rule has this id. :raise AlertError: a field is wrong (422).
    """
    given = body.changes()
    with current_store().write() as conn:
        changed = changes.change_rule(conn, _find(conn, rule_id), given)
    return _shape(changed)


@route("POST /api/alerts/rules/<int:rule_id>/set-apart", access.writes, status=201)
def set_alert_rule_apart(rule_id: int, body: SetApartBody) -> WatchRule:
    """Give a project a recommended rule of its own in place of the one that all projects share.

    :raise 404: no rule has this id. :raise AlertError: it is not shared, or no such project (422).
    """
    with current_store().write() as conn:
        made = changes.set_apart(conn, _find(conn, rule_id), body.project_id, access.caller())
    return _shape(made)


@route("DELETE /api/alerts/rules/<int:rule_id>", access.writes)
def delete_alert_rule(rule_id: int) -> None:
    """Delete a rule that a person made, or one that was set apart for a project; other recommended
    ones are switched off instead.

    :raise 404: no rule has this id. :raise 422: it is a recommended one.
    """
    with current_store().write() as conn:
        changes.remove_rule(conn, _find(conn, rule_id))


def _find(conn: Connection, rule_id: int) -> AlertRule:
    return find_rule(conn, rule_id) or abort(404, description=UNKNOWN)


def _shape(rule: AlertRule) -> WatchRule:
    names = WatchRule.model_fields.keys() - {"unit", "filters", "by_project"}
    values = {name: getattr(rule, name) for name in names}
    return WatchRule(
        **values,
        unit=rule.about.unit,
        filters=AlertFilters(**rule.filters),
        by_project=[WatchRuleState(**asdict(state)) for state in rule.by_project],
    )
