"""Grouping rules: they give events a fingerprint, or ignore them; saving and trying rules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection

from app.api.requests import Query
from app.api.routes import Routes
from app.api.schemas import ApiModel, Grouping
from app.inputs import PatchBody, ProjectId, unchanged
from app.issues import rulebook
from app.issues.rule_text import parse_rule
from app.issues.rulebook import RuleInput, RuleName, RuleText, StoredRule
from app.issues.rules import Kind
from app.issues.trial import MAX_EVENTS, try_rule
from app.web import access
from app.web.current import current_intake, current_store
from app.web.errors import or_404

UNKNOWN = "no rule has this id"
Place = Annotated[
    int, Field(ge=1, lt=2**31, description="In the order in which rules are tried, from 1.")
]

route = Routes("rules")


class GroupingRule(ApiModel):
    """A grouping rule; without a project it applies to all projects."""

    id: int
    project_id: int | None
    kind: Kind
    name: str
    text: str
    position: int
    enabled: bool
    created_at: datetime
    created_by: str | None


class RuleList(ApiModel):
    """Grouping rules, in the order in which they are tried."""

    rules: list[GroupingRule]
    next: str | None = None


class RuleQuery(Query):
    """The rules to list."""

    project_id: ProjectId | None = None


class RuleBody(RuleInput):
    """A new rule; it is tried after the existing rules."""

    enabled: bool = True


class RuleChange(PatchBody):
    """The fields of a rule to change; without a project it applies to all projects."""

    kind: Kind = unchanged()
    text: RuleText = unchanged()
    name: RuleName | None = None
    project_id: ProjectId | None = None
    enabled: bool = unchanged()
    position: Place = unchanged()


class TrialBody(RuleInput):
    """A rule that is tried and not saved."""

    rule_id: Annotated[
        int | None, Field(ge=1, lt=2**31, description="The rule in whose place it is tried.")
    ] = None
    limit: Annotated[int, Field(ge=1, le=MAX_EVENTS)] = MAX_EVENTS


class RuleMove(ApiModel):
    """Events that the rule would move to another issue; `issue_id` null means a new issue."""

    count: int
    event_ids: list[str]
    from_issue_id: int
    from_title: str
    issue_id: int | None
    grouping: Grouping
    ignored_by: str | None


class TrialResult(ApiModel):
    """The effect that a rule would have on the newest events; nothing is changed."""

    tried: int
    matched: int
    moves: list[RuleMove]


@route("GET /api/rules", access.reads)
def get_rules(query: RuleQuery) -> RuleList:
    """List grouping rules, in the order in which they are tried.

    With `project_id`, list only the rules that apply to this project.
    """
    with current_store().read() as conn:
        found = rulebook.list_rules(conn, query.project_id)
    return RuleList(rules=found)


@route("POST /api/rules", access.writes, status=201)
def post_rule(body: RuleBody) -> GroupingRule:
    """Add a grouping rule; it applies to events received from now on."""
    with current_store().write() as conn:
        added = rulebook.add_rule(conn, **body.model_dump(), created_by=access.caller())
    current_intake().rules.forget()
    return GroupingRule.of(added)


@route("PATCH /api/rules/<int:rule_id>", access.writes)
def patch_rule(rule_id: int, body: RuleChange) -> GroupingRule:
    """Change a grouping rule, move it, or switch it on or off.

    :raise 404: no rule has this id.
    """
    changes = body.changes()
    place = changes.pop("position", None)
    if "name" in changes:
        changes["name"] = changes["name"] or ""
    with current_store().write() as conn:
        changed = rulebook.change_rule(conn, _find(conn, rule_id), **changes)
        if place is not None:
            rulebook.place_rule(conn, rule_id, place)
            changed = _find(conn, rule_id)
    current_intake().rules.forget()
    return GroupingRule.of(changed)


@route("DELETE /api/rules/<int:rule_id>", access.writes)
def delete_rule(rule_id: int) -> None:
    """Delete a grouping rule; issues stay as they are.

    :raise 404: no rule has this id.
    """
    with current_store().write() as conn:
        or_404(rulebook.remove_rule(conn, rule_id) or None, UNKNOWN)
    current_intake().rules.forget()


@route("POST /api/rules/try", access.writes)
def post_trial(body: TrialBody) -> TrialResult:
    """Try a grouping rule on the newest events without saving it."""
    given = body.model_dump(include=set(RuleInput.model_fields))
    with current_store().read() as conn:
        rulebook.checked(conn, **given)
        rule = parse_rule(body.text, kind=body.kind, id=body.rule_id or 0, name=body.name)
        kept = rulebook.list_rules(conn)
        trial = try_rule(conn, rule, kept, project_id=body.project_id, limit=body.limit)
    moves = [RuleMove.of(move, ignored_by=move.grouping.ignored_by) for move in trial.moves]
    return TrialResult(tried=trial.tried, matched=trial.matched, moves=moves)


def _find(conn: Connection, rule_id: int) -> StoredRule:
    return or_404(rulebook.find_rule(conn, rule_id), UNKNOWN)
