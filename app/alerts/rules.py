"""Rules: kept, changed, and speaking at most once in their cool-down.

A rule is of one project or of all. One of all projects is found, held and silent in each of them by
itself: :func:`watches` has it once for each. The recommended rules are of all projects; one that a
project has for itself takes the place of the shared one there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, literal, or_, select, update

from app.alerts.channels import Channel, chosen
from app.alerts.errors import AlertError
from app.alerts.kinds import KINDS, OF_THE_SERVICE, PRESETS, Kind
from app.alerts.notifications import Draft, add_notification
from app.alerts.tables import (
    alert_channels,
    alert_rule_states,
    alert_rules,
    held_issues,
    noticed_issues,
)
from app.issues.followers import when_merged, when_taken_out
from app.issues.rules import MAX_PATTERN, Matcher
from app.issues.tables import issues
from app.projects import OWN_PROJECT_ID, projects
from app.protocol.event import LEVELS, clean_text
from app.store import Store, larger, replaced, upsert, utc_now
from app.store import insert as insert_or_not

MAX_NAME = 200
# Of one project, or of all, besides the recommended ones.
MAX_RULES = 50
MAX_RULE_ID = 2**31 - 1
MAX_MINUTES = 1440
MAX_COOLDOWN = 10_080
MAX_MINIMUM = 10**9
# What a person may change.
FIELDS = (
    *("name", "enabled", "threshold", "minimum", "window_minutes", "cooldown_minutes"),
    *("filters", "channel_ids"),
)
# Of a rule of all projects the state of the project where it is worst is shown.
_WORST = ("unknown", "ok", "no_data", "firing")


@dataclass(frozen=True)
class RuleState:
    """How a rule was found in a project.

    :param state: ``unknown ok firing no_data``, as it was evaluated last.
    :param held: how many issues matched within the cool-down, told when it is over.
    """

    project_id: int
    state: str = "unknown"
    value: float | None = None
    detail: str | None = None
    evaluated_at: datetime | None = None
    noticed_at: datetime | None = None
    held: int = 0


_OF_STATE = tuple(field.name for field in fields(RuleState) if field.name != "project_id")


@dataclass(frozen=True)
class AlertRule:
    """A rule as it is kept.

    :param project_id: ``None``: of all projects.
    :param preset: its name among the recommended ones.
    :param filters: level (at least), environment, release, type and message (globs).
    :param channel_ids: ``None``: every channel that is on.
    :param state: of :class:`RuleState`, as are the next ones; of a rule of all projects that of the
        project where it is worst.
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
    state: str = "unknown"
    value: float | None = None
    detail: str | None = None
    evaluated_at: datetime | None = None
    noticed_at: datetime | None = None
    held: int = 0
    by_project: tuple[RuleState, ...] = ()

    @property
    def about(self) -> Kind:
        """What its kind is."""
        return KINDS[self.kind]

    @property
    def title(self) -> str:
        """How it is called."""
        return self.name or self.about.words

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

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels it is narrowed to, the highest first."""
        return LEVELS[: LEVELS.index(self.filters.get("level", LEVELS[-1])) + 1]


@dataclass(frozen=True)
class Watch(AlertRule):
    """A rule in one project, which is evaluated, held and silent by itself."""

    project_id: int


# ---- keeping ------------------------------------------------------------------------------------


def list_rules(
    conn: Connection, project_id: int | None = None, *, enabled: bool | None = None
) -> list[AlertRule]:
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
    if enabled is not None:
        rows = [row for row in rows if row.enabled == enabled]
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
        _watch(row, states.get((row.id, project_id), RuleState(project_id)))
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
        values = {name: getattr(row, name) for name in ("project_id", *_OF_STATE)}
        found.setdefault(row.rule_id, []).append(RuleState(**values))
    return found


def _rule(row: Row[Any], states: Sequence[RuleState]) -> AlertRule:
    rule = AlertRule(**row._mapping)
    if not states:
        return rule
    worst = max(states, key=lambda one: _WORST.index(one.state))
    values = {name: getattr(worst, name) for name in _OF_STATE}
    noticed = [state.noticed_at for state in states if state.noticed_at]
    values |= {
        "noticed_at": max(noticed, default=None),
        "held": sum(state.held for state in states),
        "by_project": tuple(states) if rule.project_id is None else (),
    }
    return replace(rule, **values)


def _watch(row: Row[Any], state: RuleState) -> Watch:
    values = {name: getattr(state, name) for name in _OF_STATE}
    return Watch(**dict(row._mapping) | {"project_id": state.project_id} | values)


def add_rule(
    conn: Connection,
    *,
    project_id: int | None,
    kind: str,
    created_by: str | None = None,
    **fields: Any,
) -> AlertRule:
    """Keep a rule; fields that are not named start with what their kind says.

    :param project_id: ``None``: of all projects, also of those that come later.
    :raise AlertError: it cannot be kept so.
    """
    if kind not in KINDS:
        raise AlertError("kind", f"one of {', '.join(KINDS)} is expected")
    _check_project(conn, project_id)
    if kind in OF_THE_SERVICE and project_id != OWN_PROJECT_ID:
        raise AlertError("kind", f"of the service as a whole: project {OWN_PROJECT_ID} has it")
    own = alert_rules.c.project_id.is_not_distinct_from(project_id), alert_rules.c.preset.is_(None)
    if conn.execute(select(func.count()).where(*own)).scalar_one() >= MAX_RULES:
        raise AlertError("kind", f"a project has at most {MAX_RULES} rules of its own")
    values = _beginning(kind) | checked(conn, kind, fields)
    return _insert(conn, values | {"project_id": project_id, "created_by": created_by})


def set_apart(
    conn: Connection, rule: AlertRule, project_id: int, created_by: str | None = None
) -> AlertRule:
    """Give a project a recommended rule of its own, for now like the one that all projects share.

    :return: the one that is there already, if there is one.
    :raise AlertError: the rule is not one that all projects share, or there is no such project.
    """
    if rule.preset is None or rule.project_id is not None:
        raise AlertError("id", "only a recommended rule of all projects is set apart for one")
    _check_project(conn, project_id)
    there = alert_rules.c.project_id == project_id, alert_rules.c.preset == rule.preset
    known = conn.scalar(select(alert_rules.c.id).where(*there))
    if known is not None:
        return find_rule(conn, known) or rule
    values = {name: getattr(rule, name) for name in ("kind", "preset", *FIELDS)}
    made = {"project_id": project_id, "created_by": created_by, "created_at": utc_now()}
    return _insert(conn, values | made)


def _check_project(conn: Connection, project_id: int | None) -> None:
    known = select(projects.c.id).where(projects.c.id == project_id)
    if project_id is not None and conn.execute(known).first() is None:
        raise AlertError("project_id", "there is no such project")


def _insert(conn: Connection, values: Mapping[str, Any]) -> AlertRule:
    row = conn.execute(insert(alert_rules).values(values).returning(alert_rules)).one()
    return AlertRule(**row._mapping)


def change_rule(conn: Connection, rule: AlertRule, fields: Mapping[str, Any]) -> AlertRule:
    """Change fields of a rule, any of :data:`FIELDS`.

    :raise AlertError: it cannot be kept so.
    """
    values = checked(conn, rule.kind, fields)
    if not values:
        return rule
    if values.get("enabled") is False:
        _forget(conn, rule.id)
    conn.execute(update(alert_rules).where(alert_rules.c.id == rule.id).values(values))
    return find_rule(conn, rule.id) or rule


def _forget(conn: Connection, rule_id: int) -> None:
    """Have a rule that is switched off hold nothing, and say nothing of what it found."""
    columns = alert_rule_states.c
    quiet = update(alert_rule_states).where(columns.rule_id == rule_id)
    conn.execute(quiet.values(held=0, state="unknown"))
    conn.execute(delete(held_issues).where(held_issues.c.rule_id == rule_id))


def remove_rule(conn: Connection, rule: AlertRule) -> None:
    """Remove a rule; its notifications stay. For a recommended one of a project the shared one is
    back.

    :raise AlertError: it is a recommended one that nothing stands behind; it is switched off.
    """
    is_shared = rule.project_id is None or rule.kind in OF_THE_SERVICE
    if rule.preset is not None and is_shared:
        raise AlertError("id", "a recommended rule is switched off, not deleted")
    conn.execute(delete(alert_rules).where(alert_rules.c.id == rule.id))


def ensure_presets(store: Store) -> None:
    """Make the recommended rules that are not there yet."""
    with store.read() as conn:
        is_complete = not _missing(conn)
    if is_complete:
        return
    with store.write() as conn:
        # Another process that starts may have made them meanwhile.
        if missing := _missing(conn):
            conn.execute(insert_or_not(conn, alert_rules).on_conflict_do_nothing(), missing)


def _missing(conn: Connection) -> list[dict[str, Any]]:
    known = select(alert_rules.c.project_id, alert_rules.c.preset)
    there = {(row.project_id, row.preset) for row in conn.execute(known)}
    wanted = [(OWN_PROJECT_ID if rule.is_own else None, name) for name, rule in PRESETS.items()]
    return [_from_the_start(*rule) for rule in wanted if rule not in there]


def _from_the_start(project_id: int | None, name: str) -> dict[str, Any]:
    preset = PRESETS[name]
    return _beginning(preset.kind) | {
        "project_id": project_id,
        "preset": name,
        "name": preset.name,
        "filters": {"level": preset.level} if preset.level else {},
        "created_by": None,
    }


def _beginning(kind: str) -> dict[str, Any]:
    about = KINDS[kind]
    return {
        "kind": kind,
        "preset": None,
        "name": "",
        "enabled": True,
        "threshold": about.threshold,
        "minimum": about.minimum,
        "window_minutes": about.window_minutes,
        "cooldown_minutes": about.cooldown_minutes,
        "filters": {},
        "channel_ids": None,
        "created_at": utc_now(),
    }


# ---- checking -----------------------------------------------------------------------------------


def checked(conn: Connection, kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of those fields that are named, as they are kept.

    :raise AlertError: one of them cannot be.
    """
    about, values = KINDS[kind], dict[str, Any]()
    for name in FIELDS:
        if name in fields:
            values[name] = fields[name]
    if "name" in values:
        values["name"] = _name(values["name"])
    if "threshold" in values:
        values["threshold"] = _threshold(about, values["threshold"])
    for name, highest in (("minimum", MAX_MINIMUM), ("window_minutes", MAX_MINUTES)):
        if name in values:
            values[name] = _count(name, values[name], highest, getattr(about, name) is not None)
    if "cooldown_minutes" in values:
        minutes = values["cooldown_minutes"]
        values["cooldown_minutes"] = _count("cooldown_minutes", minutes, MAX_COOLDOWN, True)
    if "filters" in values:
        values["filters"] = _filters(about, values["filters"] or {})
    if values.get("channel_ids") is not None:
        values["channel_ids"] = _channels(conn, values["channel_ids"])
    return values


def _name(name: str) -> str:
    name = clean_text(name.strip())
    if len(name) > MAX_NAME or not name.isprintable():
        raise AlertError("name", f"at most {MAX_NAME} characters are expected")
    return name


def _threshold(about: Kind, value: float | None) -> float | None:
    if about.threshold is None:
        if value is not None:
            raise AlertError("threshold", "this kind has none")
        return None
    if value is None or not math.isfinite(value) or not about.lowest <= value <= about.highest:
        expected = f"a number from {about.lowest:g} to {about.highest:,.10g} is expected"
        raise AlertError("threshold", expected)
    return value


def _count(name: str, value: int | None, highest: int, is_had: bool) -> int | None:
    if not is_had:
        if value is not None:
            raise AlertError(name, "this kind has none")
        return None
    if value is None or not 1 <= value <= highest:
        raise AlertError(name, f"a number from 1 to {highest} is expected")
    return value


def _filters(about: Kind, given: Mapping[str, str | None]) -> dict[str, str]:
    filters = {name: clean_text(value.strip()) for name, value in given.items() if value}
    for name, value in filters.items():
        if name not in about.filters:
            raise AlertError(f"filters.{name}", "this kind cannot be narrowed so")
        if name == "level" and value not in LEVELS:
            raise AlertError("filters.level", f"one of {', '.join(LEVELS)} is expected")
        if len(value) > MAX_PATTERN:
            raise AlertError(f"filters.{name}", f"at most {MAX_PATTERN} characters are expected")
    return {name: value for name, value in filters.items() if value}


def _channels(conn: Connection, ids: Iterable[int]) -> list[int]:
    wanted = sorted(set(ids))
    known = set(conn.scalars(select(alert_channels.c.id)))
    if not known.issuperset(wanted):
        raise AlertError("channel_ids", "there is no such channel")
    return wanted


# ---- speaking -----------------------------------------------------------------------------------


def notify(
    conn: Connection, rule: Watch, draft: Draft, channels: Iterable[Channel], now: datetime
) -> bool:
    """Add a rule's notification unless the rule is in its cool-down; return whether it did."""
    columns = alert_rule_states.c
    is_free = or_(columns.noticed_at.is_(None), columns.noticed_at <= now - rule.cooldown)
    write_state(conn, rule)
    notified = (
        update(alert_rule_states)
        .where(columns.rule_id == rule.id, columns.project_id == rule.project_id, is_free)
        .values(noticed_at=now)
        .returning(columns.rule_id)
    )
    if conn.execute(notified).first() is None:
        return False
    add_notification(conn, draft, chosen(channels, rule.channel_ids), now, rule_id=rule.id)
    return True


def notify_of_issues(
    conn: Connection, rule: Watch, draft: Draft, channels: Iterable[Channel], now: datetime
) -> None:
    """Raise a notification of a rule that cools down per issue, whenever it spoke last."""
    write_state(conn, rule, noticed_at=now)
    noticed = noticed_issues.c
    ended = noticed.rule_id == rule.id, noticed.at <= now - rule.cooldown
    conn.execute(delete(noticed_issues).where(*ended))
    rows = [{"rule_id": rule.id, "issue_id": issue.issue_id, "at": now} for issue in draft.issues]
    conn.execute(insert_or_not(conn, noticed_issues).on_conflict_do_nothing(), rows)
    add_notification(conn, draft, chosen(channels, rule.channel_ids), now, rule_id=rule.id)


def cooling_issues(conn: Connection, rule: AlertRule, now: datetime) -> set[int]:
    """Return the issues that a rule named within its cool-down, with those merged into them.

    Who asks may have read of an issue before it was merged.
    """
    noticed = noticed_issues.c
    is_cooling = noticed.rule_id == rule.id, noticed.at > now - rule.cooldown
    named = select(noticed.issue_id).where(*is_cooling)
    merged = select(issues.c.id).join(noticed_issues, issues.c.merged_into == noticed.issue_id)
    return {*conn.scalars(named), *conn.scalars(merged.where(*is_cooling))}


@when_merged
def _add_batch_notification(conn: Connection, source_id: int, target_id: int) -> None:
    """Have a rule that named a merged issue cool down for the one that it became part of."""
    _add_notification(conn, source_id, target_id)
    conn.execute(delete(noticed_issues).where(noticed_issues.c.issue_id == source_id))


@when_taken_out
def _add_notification(conn: Connection, source_id: int, other_id: int) -> None:
    """Have rules that named an issue cool down for another one, too, from the later moment on."""
    of = noticed_issues.c
    rows = select(of.rule_id, literal(other_id), of.at).where(of.issue_id == source_id)
    conn.execute(upsert(conn, noticed_issues, rows, at=larger))


def write_state(conn: Connection, rule: Watch, **values: Any) -> None:
    """Write how a rule was found in a project, any fields of :class:`RuleState`."""
    key = {"rule_id": rule.id, "project_id": rule.project_id}
    first = key | {name: getattr(rule, name) for name in _OF_STATE} | values
    conn.execute(upsert(conn, alert_rule_states, first, **dict.fromkeys(values, replaced)))
