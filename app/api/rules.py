"""Rules of grouping: which events get a fingerprint of theirs, which are ignored; kept or tried."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import Connection

from app.api.errors import answer_with
from app.api.requests import Body, PatchBody, ProjectId, Query, unchanged
from app.api.routes import Routes
from app.api.schemas import ApiModel, Grouping
from app.issues import rulebook
from app.issues.rule_text import MAX_TEXT, parse_rule
from app.issues.rulebook import RuleError, StoredRule
from app.issues.tables import MAX_RULE_NAME
from app.issues.trial import MAX_EVENTS, try_rule
from app.web import access
from app.web.current import current_intake, current_store
from app.web.errors import or_404

UNKNOWN = "no rule has this id"
RuleKind = Literal["fingerprint", "ignore"]
RuleName = Annotated[str, Field(max_length=MAX_RULE_NAME)]
RuleText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_TEXT,
        description='As `type:TimeoutError path:"*/shop/*" -> timeout, {{ transaction }}`; a rule '
        "that ignores has no arrow.",
    ),
]
Place = Annotated[
    int, Field(ge=1, lt=2**31, description="In the order in which rules are tried, from 1.")
]

route = Routes("rules")
answer_with(422, RuleError)


class GroupingRule(ApiModel):
    """A rule; without a project it is for all of them."""

    id: int
    project_id: int | None
    kind: RuleKind
    name: str
    text: str
    position: int
    enabled: bool
    created_at: datetime
    created_by: str | None


class RuleList(ApiModel):
    """All rules, in the order in which they are tried."""

    rules: list[GroupingRule]
    next: str | None = None


class RuleQuery(Query):
    """Which rules."""

    project_id: ProjectId | None = None


class RuleBody(Body):
    """A new rule, tried after those that are there."""

    kind: RuleKind
    text: RuleText
    name: RuleName = ""
    project_id: ProjectId | None = None
    enabled: bool = True


class RuleChange(PatchBody):
    """What is to be changed of a rule; without a project it is for all of them."""

    kind: RuleKind = unchanged()
    text: RuleText = unchanged()
    name: RuleName | None = None
    project_id: ProjectId | None = None
    enabled: bool = unchanged()
    position: Place = unchanged()


class TrialBody(Body):
    """A rule that is tried and not kept."""

    kind: RuleKind
    text: RuleText
    name: RuleName = ""
    project_id: ProjectId | None = None
    rule_id: Annotated[
        int | None, Field(ge=1, lt=2**31, description="The rule in whose place it is tried.")
    ] = None
    limit: Annotated[int, Field(ge=1, le=MAX_EVENTS)] = MAX_EVENTS


class RuleMove(ApiModel):
    """Events that are in one issue, and where they would be; `issue_id` null is a new issue."""

    count: int
    event_ids: list[str]
    from_issue_id: int
    from_title: str
    issue_id: int | None
    grouping: Grouping
    ignored_by: str | None


class TrialResult(ApiModel):
    """What a rule would do with the newest events; nothing is changed."""

    tried: int
    matched: int
    moves: list[RuleMove]


@route("GET /api/rules", access.reads)
def get_rules(query: RuleQuery) -> RuleList:
    """Rules of grouping, in their order.

    All, or those that the events of a project are tried on.
    """
    with current_store().read() as conn:
        found = rulebook.list_rules(conn, query.project_id)
    return RuleList(rules=found)


@route("POST /api/rules", access.writes, status=201)
def post_rule(body: RuleBody) -> GroupingRule:
    """Add a rule; it applies to events that come from now on."""
    with current_store().write() as conn:
        added = rulebook.add_rule(conn, **body.model_dump(), created_by=access.caller())
    current_intake().rules.forget()
    return GroupingRule.of(added)


@route("PATCH /api/rules/<int:rule_id>", access.writes)
def patch_rule(rule_id: int, body: RuleChange) -> GroupingRule:
    """Change a rule, move it, switch it on or off.

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
    """Delete a rule; issues stay as they are.

    :raise 404: no rule has this id.
    """
    with current_store().write() as conn:
        or_404(rulebook.remove_rule(conn, rule_id) or None, UNKNOWN)
    current_intake().rules.forget()


@route("POST /api/rules/try", access.writes)
def post_trial(body: TrialBody) -> TrialResult:
    """Try a rule on the newest events without keeping it."""
    given = body.model_dump(include={"kind", "text", "name", "project_id"})
    with current_store().read() as conn:
        rulebook.checked(conn, **given)
        rule = parse_rule(body.text, kind=body.kind, id=body.rule_id or 0, name=body.name)
        kept = rulebook.list_rules(conn)
        trial = try_rule(conn, rule, kept, project_id=body.project_id, limit=body.limit)
    moves = [RuleMove.of(move, ignored_by=move.grouping.ignored_by) for move in trial.moves]
    return TrialResult(tried=trial.tried, matched=trial.matched, moves=moves)


def _find(conn: Connection, rule_id: int) -> StoredRule:
    return or_404(rulebook.find_rule(conn, rule_id), UNKNOWN)
