"""Rules as they are kept and found.

A rule is of one project or of all. One of all projects is found, held and silent in each of them by
itself: :func:`watches` has it once for each. The recommended rules are of all projects; one that a
project has for itself takes the place of the shared one there.
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
# Of a rule of all projects the state of the project where it is worst is shown.
_WORST = ("unknown", "ok", "no_data", "firing")


@dataclass(frozen=True, kw_only=True)
class LastEvaluation:
    """What the last evaluation of a rule found.

    :param state: ``unknown ok firing no_data``, as it was evaluated last.
    :param held: how many issues matched within the cool-down, named when it is over.
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
    """What the last evaluation of a rule found in a project."""

    project_id: int


@dataclass(frozen=True, kw_only=True)
class AlertRule(LastEvaluation):
    """A rule with its last evaluation; for one of all projects, that of the worst of them.

    :param project_id: ``None``: of all projects.
    :param preset: its name among the recommended ones.
    :param filters: level (at least), environment, release, type and message (globs).
    :param channel_ids: ``None``: every channel that is on.
    :param by_project: of a rule of all projects each of them.
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
        """What its kind is."""
        return KINDS[self.kind]

    @property
    def title(self) -> str:
        """Its name, else that of its kind."""
        return self.name or self.about.label

    @property
    def sentence(self) -> str:
        """When it raises a notification, in a few words."""
        return self.about.sentence(self)

    @property
    def cooldown(self) -> timedelta:
        """For how long it says nothing more: at least its window, whose events it has told of."""
        return timedelta(minutes=max(self.cooldown_minutes, self.window_minutes or 0))

    def may_notify(self, now: datetime) -> bool:
        """Return whether its cool-down is over."""
        return self.noticed_at is None or self.noticed_at <= now - self.cooldown

    def matches(self, name: str, *values: str | None) -> bool:
        """Return whether one of the values is what a filter of type or message wants."""
        wanted = self.filters.get(name)
        if wanted is None:
            return True
        matcher = Matcher(name, wanted)
        return any(value is not None and matcher.matches(value.lower()) for value in values)

    def is_about(self, level: str, type: str, title: str) -> bool:
        """Return whether the filters of level, type and message let an issue through."""
        message = title.removeprefix(f"{type}: ")
        return (
            level in self.levels
            and self.matches("type", type)
            and self.matches("message", title, message)
        )

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels it is narrowed to, the highest first."""
        return LEVELS[: LEVELS.index(self.filters.get("level", LEVELS[-1])) + 1]


@dataclass(frozen=True, kw_only=True)
class Watch(AlertRule):
    """A rule in one project, which is evaluated, held and silent by itself."""

    project_id: int


def list_rules(conn: Connection, project_id: int | None = None) -> list[AlertRule]:
    """Return rules, those of all projects first, of each the recommended ones first.

    :param project_id: only those that are in force there, as they were found there.
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
    """Return what is to be evaluated: rules that are on, one of all projects for each of them."""
    rows = _ordered(conn, select(alert_rules))
    own = _own_presets(rows)
    states = {
        (rule_id, state.project_id): state
        for rule_id, found in _states(conn, [row.id for row in rows]).items()
        for state in found
    }
    everywhere = list(conn.scalars(select(projects.c.id).order_by(projects.c.id)))
    return [
        _watch(row, states.get((row.id, project_id), RuleState(project_id=project_id)))
        for row in rows
        if row.enabled
        for project_id in ([row.project_id] if row.project_id is not None else everywhere)
        if _is_in_force(row, project_id, own)
    ]


def find_rule(conn: Connection, rule_id: int) -> AlertRule | None:
    """Return one rule, ``None`` when it is not there."""
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
