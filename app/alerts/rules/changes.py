"""Add, change and remove rules. The recommended rules exist from the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from app.accounts import audit
from app.alerts.errors import AlertError
from app.alerts.rules.inputs import AlertRuleInput, checked
from app.alerts.rules.kind import KINDS, Preset, RuleKind
from app.alerts.rules.stored import AlertRule, find_rule
from app.alerts.tables import alert_rule_states, alert_rules, held_issues, noticed_monitors
from app.projects import OWN_PROJECT_ID, projects
from app.store import Store, utc_now
from app.store import insert as insert_or_not

# The most rules of one project, or for all projects, besides the recommended rules.
MAX_RULES = 50


def add_rule(
    conn: Connection,
    kind: RuleKind,
    project_id: int | None,
    given: Mapping[str, Any],
    created_by: str | None = None,
) -> AlertRule:
    """Store a new rule and return it.

    :param project_id: ``None`` for all projects, including those that are added later.
    :param given: fields of :class:`~app.alerts.rules.inputs.AlertRuleInput`. The other fields get
        the defaults of the kind.
    :raise AlertError: a field is not valid, there is no such project, or there are too many rules.
    """
    _check_project(conn, project_id)
    if kind.is_of_service and project_id != OWN_PROJECT_ID:
        raise AlertError({"kind": f"of the service as a whole: project {OWN_PROJECT_ID} has it"})
    own = alert_rules.c.project_id.is_not_distinct_from(project_id), alert_rules.c.preset.is_(None)
    if conn.execute(select(func.count()).where(*own)).scalar_one() >= MAX_RULES:
        raise AlertError({"kind": f"a project has at most {MAX_RULES} rules of its own"})
    values = _beginning(kind) | checked(conn, kind, given)
    return _insert(conn, values | {"project_id": project_id, "created_by": created_by})


def set_apart(
    conn: Connection, rule: AlertRule, project_id: int, created_by: str | None = None
) -> AlertRule:
    """Give a project its own copy of a recommended rule that all projects share.

    :return: the new rule, or the project's own rule if it has one already.
    :raise AlertError: the rule is not shared by all projects, or there is no such project.
    """
    if rule.preset is None or rule.project_id is not None:
        raise AlertError({"id": "only a recommended rule of all projects is set apart for one"})
    _check_project(conn, project_id)
    there = alert_rules.c.project_id == project_id, alert_rules.c.preset == rule.preset
    known = conn.scalar(select(alert_rules.c.id).where(*there))
    if known is not None:
        return find_rule(conn, known) or rule
    values = {
        name: getattr(rule, name) for name in ("kind", "preset", *AlertRuleInput.model_fields)
    }
    made = {"project_id": project_id, "created_by": created_by, "created_at": utc_now()}
    return _insert(conn, values | made)


def _check_project(conn: Connection, project_id: int | None) -> None:
    known = select(projects.c.id).where(projects.c.id == project_id)
    if project_id is not None and conn.execute(known).first() is None:
        raise AlertError({"project_id": "there is no such project"})


def _insert(conn: Connection, values: Mapping[str, Any]) -> AlertRule:
    row = conn.execute(insert(alert_rules).values(values).returning(alert_rules)).one()
    made = AlertRule(**row._mapping)
    audit.note(conn, "alert_rule_added", f"alert rule {made.id}", made.title)
    return made


def change_rule(conn: Connection, rule: AlertRule, given: Mapping[str, Any]) -> AlertRule:
    """Change fields of a rule and return the changed rule.

    :param given: any fields of :class:`~app.alerts.rules.inputs.AlertRuleInput`.
    :raise AlertError: a field is not valid.
    """
    values = checked(conn, rule.about, given)
    if not values:
        return rule
    if values.get("enabled") is False:
        _forget(conn, rule.id)
    conn.execute(update(alert_rules).where(alert_rules.c.id == rule.id).values(values))
    about = f"{rule.title}: {', '.join(sorted(values))}"
    audit.note(conn, "alert_rule_changed", f"alert rule {rule.id}", about)
    return find_rule(conn, rule.id) or rule


def _forget(conn: Connection, rule_id: int) -> None:
    """Remove the held issues and the state of a rule that is switched off."""
    columns = alert_rule_states.c
    quiet = update(alert_rule_states).where(columns.rule_id == rule_id)
    conn.execute(quiet.values(held=0, state="unknown"))
    conn.execute(delete(held_issues).where(held_issues.c.rule_id == rule_id))
    conn.execute(delete(noticed_monitors).where(noticed_monitors.c.rule_id == rule_id))


def remove_rule(conn: Connection, rule: AlertRule) -> None:
    """Remove a rule. Its notifications stay.

    If it is a project's own copy of a recommended rule, the shared rule is in force again.

    :raise AlertError: it is a recommended rule and not a copy. It can only be switched off.
    """
    is_shared = rule.project_id is None or rule.about.is_of_service
    if rule.preset is not None and is_shared:
        raise AlertError({"id": "a recommended rule is switched off, not deleted"})
    conn.execute(delete(alert_rules).where(alert_rules.c.id == rule.id))
    audit.note(conn, "alert_rule_deleted", f"alert rule {rule.id}", rule.title)


def ensure_presets(store: Store) -> None:
    """Store the recommended rules that do not exist yet."""
    with store.read() as conn:
        is_complete = not _missing(conn)
    if is_complete:
        return
    with store.write() as conn:
        # Another process that starts may have stored them meanwhile.
        if missing := _missing(conn):
            conn.execute(insert_or_not(conn, alert_rules).on_conflict_do_nothing(), missing)


def _missing(conn: Connection) -> list[dict[str, Any]]:
    known = select(alert_rules.c.project_id, alert_rules.c.preset)
    there = {(row.project_id, row.preset) for row in conn.execute(known)}
    wanted = [_recommended(kind, kind.preset) for kind in KINDS.values() if kind.preset]
    return [one for one in wanted if (one["project_id"], one["preset"]) not in there]


def _recommended(kind: RuleKind, preset: Preset) -> dict[str, Any]:
    return _beginning(kind) | {
        "project_id": OWN_PROJECT_ID if kind.is_of_service else None,
        "preset": preset.name,
        "name": preset.title,
        "filters": preset.filters,
    }


def _beginning(kind: RuleKind) -> dict[str, Any]:
    return {
        "kind": kind.name,
        "name": "",
        "enabled": True,
        **kind.defaults(),
        "filters": {},
        "created_at": utc_now(),
    }
