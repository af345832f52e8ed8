"""Rules of grouping: which events get a fingerprint of theirs, which are ignored; kept or tried."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from flask import Response, abort
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from app.api import bp
from app.api.openapi import Operation, answer, describe
from app.api.requests import PatchBody, Query, read_body, read_query, unchanged
from app.api.schemas import Grouping
from app.inputs import ProjectId
from app.issues import rulebook
from app.issues.rule_text import parse_rule
from app.issues.rulebook import RuleInput, RuleName, RuleText, StoredRule
from app.issues.rules import Kind
from app.issues.trial import MAX_EVENTS, Move, try_rule
from app.web import access
from app.web.current import current_intake, current_store
from app.web.errors import or_404

UNKNOWN = "no rule has this id"
Place = Annotated[
    int, Field(ge=1, lt=2**31, description="In the order in which rules are tried, from 1.")
]


class GroupingRule(BaseModel):
    """A rule; without a project it is for all of them."""

    id: int
    project_id: int | None
    kind: Kind
    name: str
    text: str
    position: int
    enabled: bool
    created_at: datetime
    created_by: str | None


class RuleList(BaseModel):
    """All rules, in the order in which they are tried."""

    rules: list[GroupingRule]
    next: str | None = None


class RuleQuery(Query):
    """Which rules."""

    project_id: ProjectId | None = None


class RuleBody(RuleInput):
    """A new rule, tried after those that are there."""

    enabled: bool = True


class RuleChange(PatchBody):
    """What is to be changed of a rule; without a project it is for all of them."""

    kind: Kind = unchanged()
    text: RuleText = unchanged()
    name: RuleName | None = None
    project_id: ProjectId | None = None
    enabled: bool = unchanged()
    position: Place = unchanged()


class TrialBody(RuleInput):
    """A rule that is tried and not kept."""

    rule_id: Annotated[
        int | None, Field(ge=1, lt=2**31, description="The rule in whose place it is tried.")
    ] = None
    limit: Annotated[int, Field(ge=1, le=MAX_EVENTS)] = MAX_EVENTS


class RuleMove(BaseModel):
    """Events that are in one issue, and where they would be; `issue_id` null is a new issue."""

    count: int
    event_ids: list[str]
    from_issue_id: int
    from_title: str
    issue_id: int | None
    grouping: Grouping
    ignored_by: str | None


class TrialResult(BaseModel):
    """What a rule would do with the newest events; nothing is changed."""

    tried: int
    matched: int
    moves: list[RuleMove]


@bp.get("/api/rules")
@access.reads
@describe(
    Operation(
        "Rules of grouping, in their order",
        {200: RuleList},
        query=RuleQuery,
        problems=(422, 503),
        tag="rules",
    )
)
def get_rules() -> ResponseReturnValue:
    """Return the rules, all or those that a project's events are tried on."""
    project_id = read_query(RuleQuery).project_id
    with current_store().read() as conn:
        found = rulebook.list_rules(conn, project_id)
    return answer(RuleList(rules=[_shape(rule) for rule in found]))


@bp.post("/api/rules")
@access.writes
@describe(
    Operation(
        "Add a rule; it applies to events that come from now on",
        {201: GroupingRule},
        body=RuleBody,
        problems=(413, 415, 422, 503),
        tag="rules",
    )
)
def post_rule() -> ResponseReturnValue:
    """Keep a rule.

    :raise RuleError: it is no rule (422); the message says where.
    """
    body = read_body(RuleBody)
    with current_store().write() as conn:
        added = rulebook.add_rule(conn, **body.model_dump(), created_by=access.caller())
    current_intake().rules.forget()
    return answer(_shape(added), 201)


@bp.patch("/api/rules/<int:rule_id>")
@access.writes
@describe(
    Operation(
        "Change a rule, move it, switch it on or off",
        {200: GroupingRule},
        body=RuleChange,
        problems=(404, 413, 415, 422, 503),
        tag="rules",
    )
)
def patch_rule(rule_id: int) -> ResponseReturnValue:
    """Change what is named and return the rule.

    :raise 404: no rule has this id. :raise RuleError: it is no rule any more (422).
    """
    changes = read_body(RuleChange).changes()
    place = changes.pop("position", None)
    if "name" in changes:
        changes["name"] = changes["name"] or ""
    with current_store().write() as conn:
        changed = rulebook.change_rule(conn, _find(conn, rule_id), **changes)
        if place is not None:
            rulebook.place_rule(conn, rule_id, place)
            changed = _find(conn, rule_id)
    current_intake().rules.forget()
    return answer(_shape(changed))


@bp.delete("/api/rules/<int:rule_id>")
@access.writes
@describe(
    Operation(
        "Delete a rule; issues stay as they are", {204: None}, problems=(404, 503), tag="rules"
    )
)
def delete_rule(rule_id: int) -> ResponseReturnValue:
    """Remove a rule.

    :raise 404: no rule has this id.
    """
    with current_store().write() as conn:
        if not rulebook.remove_rule(conn, rule_id):
            abort(404, description=UNKNOWN)
    current_intake().rules.forget()
    return Response(status=204)


@bp.post("/api/rules/try")
@access.writes
@describe(
    Operation(
        "Try a rule on the newest events without keeping it",
        {200: TrialResult},
        body=TrialBody,
        problems=(413, 415, 422, 503),
        tag="rules",
    )
)
def post_trial() -> ResponseReturnValue:
    """Return what a rule would do.

    :raise RuleError: it is no rule (422).
    """
    body = read_body(TrialBody)
    given = body.model_dump(include=set(RuleInput.model_fields))
    with current_store().read() as conn:
        rulebook.checked(conn, **given)
        rule = parse_rule(body.text, kind=body.kind, id=body.rule_id or 0, name=body.name)
        kept = rulebook.list_rules(conn)
        trial = try_rule(conn, rule, kept, project_id=body.project_id, limit=body.limit)
    moves = [_move(move) for move in trial.moves]
    return answer(TrialResult(tried=trial.tried, matched=trial.matched, moves=moves))


def _find(conn: Connection, rule_id: int) -> StoredRule:
    return or_404(rulebook.find_rule(conn, rule_id), UNKNOWN)


def _shape(rule: StoredRule) -> GroupingRule:
    return GroupingRule(**{name: getattr(rule, name) for name in GroupingRule.model_fields})


def _move(move: Move) -> RuleMove:
    grouping = move.grouping
    return RuleMove(
        count=move.count,
        event_ids=move.event_ids,
        from_issue_id=move.from_issue_id,
        from_title=move.from_title,
        issue_id=move.issue_id,
        grouping=Grouping(version=grouping.version, key=grouping.key, reason=grouping.reason),
        ignored_by=grouping.ignored_by,
    )
