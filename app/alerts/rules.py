"""The rules of each project: kept, changed, and speaking at most once in their cool-down."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from app.alerts.channels import Channel, chosen
from app.alerts.errors import AlertError
from app.alerts.kinds import KINDS, OF_THE_SERVICE, PRESETS, Kind
from app.alerts.notices import Draft, raise_notice
from app.alerts.tables import alert_channels, alert_rules
from app.db import Store, utc_now
from app.db import insert as insert_or_not
from app.issues.rules import MAX_PATTERN, Matcher
from app.projects import OWN_PROJECT_ID, projects
from app.protocol.event import LEVELS, clean_text

MAX_NAME = 200
# Of one project, besides those it has from the start.
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


@dataclass(frozen=True)
class AlertRule:
    """A rule as it is kept.

    :param preset: its name among those a project has from the start.
    :param filters: level (at least), environment, release, type and message (globs).
    :param channel_ids: ``None``: every channel that is on.
    :param state: ``unknown ok firing no_data``, as it was evaluated last.
    :param held: matches within the cool-down, told when it is over; ``held_…``: the first of them.
    """

    id: int
    project_id: int
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
    state: str
    value: float | None
    detail: str | None
    evaluated_at: datetime | None
    noticed_at: datetime | None
    held: int
    held_issue_id: int | None
    held_event_id: str | None
    created_at: datetime
    created_by: str | None

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

    def may_speak(self, now: datetime) -> bool:
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


# ---- keeping ------------------------------------------------------------------------------------


def list_rules(
    conn: Connection, project_id: int | None = None, *, enabled: bool | None = None
) -> list[AlertRule]:
    """Return rules by project, those from the start first."""
    query = select(alert_rules)
    if project_id is not None:
        query = query.where(alert_rules.c.project_id == project_id)
    if enabled is not None:
        query = query.where(alert_rules.c.enabled.is_(enabled))
    own_last = alert_rules.c.preset.is_(None)
    rows = conn.execute(query.order_by(alert_rules.c.project_id, own_last, alert_rules.c.id))
    return [AlertRule(**row._mapping) for row in rows]


def find_rule(conn: Connection, rule_id: int) -> AlertRule | None:
    """Return one rule, ``None`` when it is not there."""
    if not 0 < rule_id <= MAX_RULE_ID:
        return None
    row = conn.execute(select(alert_rules).where(alert_rules.c.id == rule_id)).first()
    return AlertRule(**row._mapping) if row else None


def add_rule(
    conn: Connection,
    *,
    project_id: int,
    kind: str,
    created_by: str | None = None,
    **fields: Any,
) -> AlertRule:
    """Keep a rule; fields that are not named start with what their kind says.

    :raise AlertError: it cannot be kept so.
    """
    if kind not in KINDS:
        raise AlertError("kind", f"one of {', '.join(KINDS)} is expected")
    if conn.execute(select(projects.c.id).where(projects.c.id == project_id)).first() is None:
        raise AlertError("project_id", "there is no such project")
    if kind in OF_THE_SERVICE and project_id != OWN_PROJECT_ID:
        raise AlertError("kind", f"of the service as a whole: project {OWN_PROJECT_ID} has it")
    own = alert_rules.c.project_id == project_id, alert_rules.c.preset.is_(None)
    if conn.execute(select(func.count()).where(*own)).scalar_one() >= MAX_RULES:
        raise AlertError("kind", f"a project has at most {MAX_RULES} rules of its own")
    values = _beginning(kind) | checked(conn, kind, fields)
    values |= {"project_id": project_id, "created_by": created_by}
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
        values |= {"held": 0, "state": "unknown"}
    statement = update(alert_rules).where(alert_rules.c.id == rule.id).values(values)
    return AlertRule(**conn.execute(statement.returning(alert_rules)).one()._mapping)


def remove_rule(conn: Connection, rule: AlertRule) -> None:
    """Remove a rule; its notices stay.

    :raise AlertError: it is there from the start, and can be switched off instead.
    """
    if rule.preset is not None:
        raise AlertError("id", "a rule that is there from the start is switched off, not deleted")
    conn.execute(delete(alert_rules).where(alert_rules.c.id == rule.id))


def ensure_presets(store: Store) -> None:
    """Give every project the rules it has from the start, those that are not there yet."""
    with store.read() as conn:
        is_complete = not _missing(conn)
    if is_complete:
        return
    with store.write() as conn:
        # Another process that starts may have given them meanwhile.
        if missing := _missing(conn):
            statement = insert_or_not(conn, alert_rules).on_conflict_do_nothing(
                index_elements=["project_id", "preset"]
            )
            conn.execute(statement, missing)


def _missing(conn: Connection) -> list[dict[str, Any]]:
    known = select(alert_rules.c.project_id, alert_rules.c.preset)
    there = {(row.project_id, row.preset) for row in conn.execute(known)}
    return [
        _beginning(preset.kind)
        | {
            "project_id": project_id,
            "preset": name,
            "name": preset.name,
            "filters": {"level": preset.level} if preset.level else {},
            "created_by": None,
        }
        for project_id in conn.scalars(select(projects.c.id).order_by(projects.c.id))
        for name, preset in PRESETS.items()
        if (project_id, name) not in there and (not preset.is_own or project_id == OWN_PROJECT_ID)
    ]


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
        "state": "unknown",
        "held": 0,
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


def speak(
    conn: Connection, rule: AlertRule, draft: Draft, channels: Iterable[Channel], now: datetime
) -> bool:
    """Raise a rule's notice, unless it has spoken within its cool-down; return whether it did."""
    is_free = or_(
        alert_rules.c.noticed_at.is_(None), alert_rules.c.noticed_at <= now - rule.cooldown
    )
    spoken = (
        update(alert_rules)
        .where(alert_rules.c.id == rule.id, is_free)
        .values(noticed_at=now, held=0, held_issue_id=None, held_event_id=None)
        .returning(alert_rules.c.id)
    )
    if conn.execute(spoken).first() is None:
        return False
    raise_notice(conn, draft, chosen(channels, rule.channel_ids), now, rule_id=rule.id)
    return True
