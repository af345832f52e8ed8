"""Read stored rules and their last evaluations.

A rule is for one project or for all projects. A rule for all projects has a separate state in each
project: its result, its held issues and its cool-down. :func:`watches` returns it once for each
project. The recommended rules are for all projects. A project's own copy of a recommended rule
replaces the shared rule in this project.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from app.alerts.rules.kind import KINDS, RuleKind
from app.alerts.tables import alert_rule_states, alert_rules
from app.issues.rules import Matcher
from app.projects import projects
from app.protocol.event import LEVELS

MAX_RULE_ID = 2**31 - 1
# For a rule for all projects, the state of the project with the worst state is shown. This is the
# order from best to worst.
_WORST = ("unknown", "ok", "no_data", "firing")


@dataclass(frozen=True, kw_only=True)
class LastEvaluation:
    """The result of the last evaluation of a rule.

    :param state: ``unknown``, ``ok``, ``firing`` or ``no_data``.
    :param held: how many issues matched during the cool-down. A notification names them when it is
        over.
    """

    state: str = "unknown"
    value: float | None = None
    detail: str | None = None
    evaluated_at: datetime | None = None
    noticed_at: datetime | None = None
    held: int = 0


STATE_FIELDS = tuple(field.name for field in fields(LastEvaluation))


@dataclass(frozen=True, kw_only=True)
class RuleState(LastEvaluation):
    """The result of the last evaluation of a rule in one project."""

    project_id: int


@dataclass(frozen=True, kw_only=True)
class AlertRule(LastEvaluation):
    """A rule with its last evaluation. A rule for all projects has that of the worst project.

    :param project_id: ``None`` for all projects.
    :param preset: its name among the recommended rules, ``None`` for other rules.
    :param filters: level (at least), environment, release, type and message (globs).
    :param channel_ids: ``None`` for every enabled channel.
    :param by_project: for a rule for all projects, its state in each project.
    """

    id: int
    project_id: int | None
    kind: str
    preset: str | None
    name: str
    enabled: bool
    threshold: float | None
    minimum: int | None
    window_minutes: int | None
    cooldown_minutes: int
    filters: dict[str, str]
    channel_ids: list[int] | None
    created_at: datetime
    created_by: str | None
    by_project: tuple[RuleState, ...] = ()

    @property
    def about(self) -> RuleKind:
        """The kind of this rule."""
        return KINDS[self.kind]

    @property
    def title(self) -> str:
        """The name of the rule, or the label of its kind if it has no name."""
        return self.name or self.about.label

    @property
    def sentence(self) -> str:
        """In a few words when the rule raises a notification."""
        return self.about.sentence(self)

    @property
    def cooldown(self) -> timedelta:
        """For how long the rule raises no further notification.

        It is at least the window, because a notification covered the events of the window.
        """
        return timedelta(minutes=max(self.cooldown_minutes, self.window_minutes or 0))

    def may_notify(self, now: datetime) -> bool:
        """Return whether the rule's cool-down is over."""
        return self.noticed_at is None or self.noticed_at <= now - self.cooldown

    def matches(self, name: str, *values: str | None) -> bool:
        """Return whether one of the values matches a filter of the rule.

        :param name: of the filter. Without such a filter everything matches.
        """
        wanted = self.filters.get(name)
        if wanted is None:
            return True
        matcher = Matcher(name, wanted)
        return any(value is not None and matcher.matches(value.lower()) for value in values)

    def is_about(self, level: str, type: str, title: str) -> bool:
        """Return whether an issue matches the filters of level, type and message."""
        message = title.removeprefix(f"{type}: ")
        return (
            level in self.levels
            and self.matches("type", type)
            and self.matches("message", title, message)
        )

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels that match the rule's level filter, highest first."""
        return LEVELS[: LEVELS.index(self.filters.get("level", LEVELS[-1])) + 1]


@dataclass(frozen=True, kw_only=True)
class Watch(AlertRule):
    """A rule in one project, with its own evaluation, held issues and cool-down."""

    project_id: int


def list_rules(conn: Connection, project_id: int | None = None) -> list[AlertRule]:
    """Return rules: those for all projects first, and in each group the recommended rules first.

    :param project_id: return only rules in force in this project, with their state there.
    """
    query = select(alert_rules)
    if project_id is not None:
        of_it = alert_rules.c.project_id == project_id
        query = query.where(or_(of_it, alert_rules.c.project_id.is_(None)))
    rows = _ordered(conn, query)
    if project_id is not None:
        own = _own_presets(rows)
        rows = [row for row in rows if _is_in_force(row, project_id, own)]
    states = _states(conn, [row.id for row in rows], project_id)
    return [_rule(row, states.get(row.id, ())) for row in rows]


def watches(conn: Connection) -> list[Watch]:
    """Return the enabled rules for evaluation. A rule for all projects is returned for each one."""
    columns = projects.c
    query = select(columns.id).where(
        columns.archived_at.is_(None), columns.deleted_at.is_(None), ~columns.is_demo
    )
    watched = list(conn.scalars(query.order_by(columns.id)))
    found = rules_in_force(conn, watched)
    states = {
        (rule_id, state.project_id): state
        for rule_id, of_rule in _states(conn, list({row.id for row, _ in found})).items()
        for state in of_rule
    }
    return [
        _watch(row, states.get((row.id, project_id), RuleState(project_id=project_id)))
        for row, project_id in found
    ]


def rules_in_force(conn: Connection, watched: Sequence[int]) -> list[tuple[Row[Any], int]]:
    """Return the rows of the enabled rules, each with every project in which it is in force.

    :param watched: the ids of the projects.
    """
    rows = _ordered(conn, select(alert_rules))
    own = _own_presets(rows)
    return [
        (row, project_id)
        for row in rows
        if row.enabled
        for project_id in watched
        if row.project_id in (None, project_id)
        if _is_in_force(row, project_id, own)
    ]


def find_rule(conn: Connection, rule_id: int) -> AlertRule | None:
    """Return one rule, ``None`` if there is no such rule."""
    if not 0 < rule_id <= MAX_RULE_ID:
        return None
    row = conn.execute(select(alert_rules).where(alert_rules.c.id == rule_id)).first()
    return _rule(row, _states(conn, [rule_id]).get(rule_id, ())) if row else None


def _ordered(conn: Connection, query: Any) -> list[Row[Any]]:
    columns = alert_rules.c
    order = columns.project_id.is_not(None), columns.project_id, columns.preset.is_(None)
    return list(conn.execute(query.order_by(*order, columns.id)))


def _own_presets(rows: Iterable[Row[Any]]) -> set[tuple[int, str]]:
    return {(row.project_id, row.preset) for row in rows if row.project_id and row.preset}


def _is_in_force(row: Row[Any], project_id: int, own: set[tuple[int, str]]) -> bool:
    return row.project_id is not None or (project_id, row.preset) not in own


def _states(
    conn: Connection, rule_ids: Sequence[int], project_id: int | None = None
) -> dict[int, list[RuleState]]:
    columns = alert_rule_states.c
    query = select(alert_rule_states).where(columns.rule_id.in_(rule_ids))
    if project_id is not None:
        query = query.where(columns.project_id == project_id)
    found: dict[int, list[RuleState]] = {}
    for row in conn.execute(query.order_by(columns.project_id)):
        values = {name: getattr(row, name) for name in ("project_id", *STATE_FIELDS)}
        found.setdefault(row.rule_id, []).append(RuleState(**values))
    return found


def _rule(row: Row[Any], states: Sequence[RuleState]) -> AlertRule:
    rule = AlertRule(**row._mapping)
    if not states:
        return rule
    worst = max(states, key=lambda one: _WORST.index(one.state))
    values = {name: getattr(worst, name) for name in STATE_FIELDS}
    noticed = [state.noticed_at for state in states if state.noticed_at]
    values |= {
        "noticed_at": max(noticed, default=None),
        "held": sum(state.held for state in states),
        "by_project": tuple(states) if rule.project_id is None else (),
    }
    return replace(rule, **values)


def _watch(row: Row[Any], state: RuleState) -> Watch:
    values = {name: getattr(state, name) for name in STATE_FIELDS}
    return Watch(**dict(row._mapping) | {"project_id": state.project_id} | values)
