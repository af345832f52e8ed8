"""Alert rules: what is watched in each project, and the last evaluation of each rule."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from flask import abort
from sqlalchemy import Connection

from app.alerts.rules import changes
from app.alerts.rules.inputs import AlertFilters, AlertRuleInput
from app.alerts.rules.kind import KINDS
from app.alerts.rules.stored import AlertRule, find_rule, list_rules
from app.api.alerts import one_of
from app.api.requests import Query
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.inputs import Body, ProjectId, patch_of
from app.web import access
from app.web.current import current_store

UNKNOWN = "no rule has this id"
RuleKind = Annotated[str, one_of(KINDS)]

route = Routes("alerts")


class LastEvaluation(ApiModel):
    """The result of the last evaluation of a rule."""

    state: Literal["unknown", "ok", "firing", "no_data"]
    value: float | None
    detail: str | None
    evaluated_at: datetime | None
    noticed_at: datetime | None
    held: int


class WatchRuleState(LastEvaluation):
    """The state of a rule in one project; it notifies of `held` issues after its cool-down."""

    project_id: int


class WatchRule(LastEvaluation):
    """A rule; `preset` is the name of a recommended rule, `state` is its last evaluation.

    If `project_id` is null, the rule is for all projects. Then `by_project` has the evaluation of
    each project, and `state` is the worst of them, unless the request names one project.
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


class WatchRuleList(ApiModel):
    """Alert rules; those for all projects come first."""

    rules: list[WatchRule]
    next: str | None = None


class WatchRuleQuery(Query):
    """The rules to list; with `project_id` the rules that apply to that project."""

    project_id: ProjectId | None = None


_CLEARABLE = ("name", "filters", "channel_ids")


class WatchRuleChange(patch_of(AlertRuleInput, _CLEARABLE)):  # type: ignore[misc]  # made here
    """The fields of a rule to change."""


class WatchRuleBody(AlertRuleInput, Body):
    """A new rule; a field that is null or missing gets the default of the rule's kind.

    If `project_id` is null, the rule is for all projects, also for those added later.
    """

    project_id: ProjectId | None
    kind: RuleKind


class SetApartBody(Body):
    """The project that gets its own copy of the rule."""

    project_id: ProjectId


@route("GET /api/alerts/rules", access.reads)
def get_alert_rules(query: WatchRuleQuery) -> WatchRuleList:
    """List alert rules, each with its last evaluation."""
    changes.ensure_presets(current_store())
    with current_store().read() as conn:
        found = list_rules(conn, query.project_id)
    return WatchRuleList(rules=[_shape(rule) for rule in found])


@route("POST /api/alerts/rules", access.writes, status=201)
def post_alert_rule(body: WatchRuleBody) -> WatchRule:
    """Add a rule.

    :raise AlertError: a field is wrong, or the rule's kind does not have it (422).
    """
    kind = KINDS[body.kind]
    given = body.model_dump(exclude={"project_id", "kind"}, exclude_none=True)
    with current_store().write() as conn:
        made = changes.add_rule(conn, kind, body.project_id, given, access.caller())
    return _shape(made)


@route("PATCH /api/alerts/rules/<int:rule_id>", access.writes)
def patch_alert_rule(rule_id: int, body: WatchRuleChange) -> WatchRule:
    """Change a rule, or switch it on or off.

    :raise 404: no rule has this id. :raise AlertError: a field is wrong (422).
    """
    given = body.changes()
    with current_store().write() as conn:
        changed = changes.change_rule(conn, _find(conn, rule_id), given)
    return _shape(changed)


@route("POST /api/alerts/rules/<int:rule_id>/set-apart", access.writes, status=201)
def set_alert_rule_apart(rule_id: int, body: SetApartBody) -> WatchRule:
    """Give a project its own copy of a recommended rule that all projects share.

    The copy replaces the shared rule in that project.

    :raise 404: no rule has this id.
    :raise AlertError: the rule is not shared, or the project does not exist (422).
    """
    with current_store().write() as conn:
        made = changes.set_apart(conn, _find(conn, rule_id), body.project_id, access.caller())
    return _shape(made)


@route("DELETE /api/alerts/rules/<int:rule_id>", access.writes)
def delete_alert_rule(rule_id: int) -> None:
    """Delete a rule that a person made, or a project's own copy of a recommended rule.

    A shared recommended rule cannot be deleted; switch it off instead.

    :raise 404: no rule has this id. :raise 422: it is a shared recommended rule.
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
