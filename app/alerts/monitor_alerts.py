"""Alerts about monitors: one when a monitor fails in an environment, one when it is ok again.

    changes   a monitor began to fail, or fails no longer: in their order, so that a failure is said
              even if it is over
    states    the monitors that are failing, held against those that each rule named: the rule may
              be new, its cool-down over, or the monitor paused

One transaction raises the notifications, notes them and removes the changes. So even after a crash
no notification is missing or raised twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, select, update

from app.alerts.channels.stored import Channel, chosen, list_channels
from app.alerts.messages import RESOLVED
from app.alerts.notifications import Draft, add_notification
from app.alerts.rules.stored import Watch, watches
from app.alerts.tables import noticed_monitors
from app.monitors import changes
from app.monitors.machine import FAILING
from app.monitors.queries import failing_states, oldest_changes, states_by_id
from app.monitors.tables import monitor_changes, monitor_states, monitors
from app.projects import Project
from app.projects.ending import DELETED, RESTORED, when_changed
from app.store import Store, facts, replaced, upsert

KIND = "monitor"
# The most notifications of one run; the next run raises the others.
MAX_AT_ONCE = 20
# The most changes that one run follows, if they call for no notification.
MAX_CHANGES = 1000
# What happened, for the title.
WORDS = {"missed": "missed its run", "timeout": "timed out", "error": "failed"}


class Incident(NamedTuple):
    """When a rule last said that a monitor is failing, and whether it has not said its end yet."""

    at: datetime
    is_open: bool


# By rule and state.
Incidents = dict[tuple[int, int], Incident]


def dispatch_monitor_alerts(store: Store, now: datetime) -> int:
    """Raise the notifications that are due and return their number.

    :raise StoreError: the store does not answer.
    """
    with store.read() as conn:  # Usually there is nothing to do, so read before writing.
        if not oldest_changes(conn, 1) and not any(_due(conn, now)):
            return 0
    with store.write() as conn:
        sender = _Sender(conn, now)
        count = _follow_changes(conn, sender)
        fails, ends = _due(conn, now)
        for rule, state in fails[:MAX_AT_ONCE]:
            _say_failure(conn, sender, rule, state)
        for rule, state in ends[:MAX_AT_ONCE]:
            _say_end(conn, sender, rule, state)
    return count + min(len(fails), MAX_AT_ONCE) + min(len(ends), MAX_AT_ONCE)


def delete_monitor(conn: Connection, row: Row[Any], now: datetime) -> None:
    """Delete a monitor with its runs, and send the end of each notification about it."""
    its = select(monitor_states.c.id).where(monitor_states.c.monitor_id == row.id)
    sender = _Sender(conn, now)
    for rule, state in _open_incidents(conn, its):
        sender.add(rule, _end(rule, state, "was deleted"), state.id)
    changes.remove_monitor(conn, row)


def delete_environment(conn: Connection, monitor: Row[Any], state: Row[Any], now: datetime) -> None:
    """Delete an environment of a monitor, and send the end of each notification about it.

    :param state: its row of ``monitor_states``.
    """
    sender = _Sender(conn, now)
    for rule, failing in _open_incidents(conn, [state.id]):
        sender.add(rule, _end(rule, failing, "is no longer watched"), state.id)
    changes.remove_environment(conn, monitor, state)


@when_changed
def _end_with_project(conn: Connection, project: Project, action: str, now: datetime) -> None:
    """End the incidents of the monitors of a project that is archived or deleted.

    What happened to them since the last look is said no more: this ends it, too.
    """
    if action == RESTORED:
        return
    its = select(monitor_states.c.id).join(monitors, monitors.c.id == monitor_states.c.monitor_id)
    its = its.where(monitors.c.project_id == project.id)
    conn.execute(delete(monitor_changes).where(monitor_changes.c.state_id.in_(its)))
    sender = _Sender(conn, now)
    for rule, state in _open_incidents(conn, its):
        verb = f"is no longer watched, {project.name} was {action.removeprefix('project_')}"
        draft = _end(rule, state, verb)
        if action == DELETED:
            # What is of the project is removed with it, perhaps before it is sent.
            draft = replace(draft, project_id=None)
        sender.add(rule, draft, state.id)
        _close(conn, rule, state)


def _open_incidents(conn: Connection, state_ids: Any) -> list[tuple[Watch, Row[Any]]]:
    """Return the open incidents of some states: the rule that sent it, and the state."""
    columns = noticed_monitors.c
    are_open = columns.state_id.in_(state_ids), columns.is_open.is_(True)
    named = conn.execute(select(noticed_monitors).where(*are_open)).all()
    states = states_by_id(conn, [one.state_id for one in named])
    return [
        (rule, states[one.state_id])
        for rule in (watches(conn) if named else ())
        for one in named
        if (rule.id, rule.project_id) == (one.rule_id, states[one.state_id].project_id)
    ]


def _follow_changes(conn: Connection, sender: _Sender) -> int:
    """Say what the oldest changes call for, and remove them. Return how many notifications.

    Most changes of a job that fails and ends well all the time are within the cool-down. They are
    followed by hundreds, so that they hold up no other job.
    """
    changes, count, last = oldest_changes(conn, MAX_CHANGES), 0, 0
    rules = _rules(conn) if changes else []
    incidents = _last_incidents(conn, {change.id for change in changes}) if rules else {}
    for change in changes:
        if count >= MAX_AT_ONCE:
            break
        for rule in rules:
            if rule.project_id == change.project_id:
                count += _follow(conn, sender, rule, change, incidents)
        last = change.change_id
    conn.execute(delete(monitor_changes).where(monitor_changes.c.id <= last))
    return count


def _follow(
    conn: Connection, sender: _Sender, rule: Watch, change: Row[Any], incidents: Incidents
) -> bool:
    before = incidents.get((rule.id, change.id))
    if change.status in FAILING:
        is_due = _is_about(rule, change) and _may_say(rule, before, sender.now)
        if is_due:
            _say_failure(conn, sender, rule, change)
            incidents[rule.id, change.id] = Incident(sender.now, True)
        return is_due
    if before is None or not before.is_open:
        return False
    _say_end(conn, sender, rule, change)
    incidents[rule.id, change.id] = before._replace(is_open=False)
    return True


def _last_incidents(conn: Connection, state_ids: set[int]) -> Incidents:
    columns = noticed_monitors.c
    rows = conn.execute(select(noticed_monitors).where(columns.state_id.in_(state_ids)))
    return {(row.rule_id, row.state_id): Incident(row.at, row.is_open) for row in rows}


def _due(
    conn: Connection, now: datetime
) -> tuple[list[tuple[Watch, Row[Any]]], list[tuple[Watch, Row[Any]]]]:
    """Return what each rule has to say: which monitors are failing, and which are no more.

    Monitors of which changes were not followed yet come later.
    """
    later = set(conn.scalars(select(monitor_changes.c.state_id)))
    failing = [state for state in failing_states(conn) if state.id not in later]
    found = conn.execute(select(noticed_monitors)).all() if failing or _has_open(conn) else []
    named = [row for row in found if row.state_id not in later]
    if not failing and not named:
        return [], []
    rules = _rules(conn)
    known = {(row.rule_id, row.state_id): row for row in named}
    fails = [
        (rule, state)
        for rule in rules
        for state in failing
        if _is_about(rule, state) and _may_say(rule, known.get((rule.id, state.id)), now)
    ]
    return fails, _ends(conn, rules, failing, [row for row in named if row.is_open])


def _ends(
    conn: Connection, rules: Iterable[Watch], failing: Sequence[Row[Any]], named: Sequence[Row[Any]]
) -> list[tuple[Watch, Row[Any]]]:
    still = {state.id for state in failing}
    over = [row for row in named if row.state_id not in still]
    states = states_by_id(conn, [row.state_id for row in over]) if over else {}
    ended = [(row.rule_id, states[row.state_id]) for row in over if row.state_id in states]
    return [
        (rule, state)
        for rule in rules
        for rule_id, state in ended
        if rule.id == rule_id and rule.project_id == state.project_id
    ]


def _rules(conn: Connection) -> list[Watch]:
    return [rule for rule in watches(conn) if rule.kind == KIND]


def _has_open(conn: Connection) -> bool:
    some = select(noticed_monitors.c.rule_id).where(noticed_monitors.c.is_open.is_(True)).limit(1)
    return conn.execute(some).first() is not None


def _is_about(rule: Watch, state: Row[Any]) -> bool:
    is_its = rule.project_id == state.project_id
    return is_its and rule.matches("environment", state.environment)


def _may_say(rule: Watch, named: Row[Any] | Incident | None, now: datetime) -> bool:
    return named is None or (not named.is_open and named.at <= now - rule.cooldown)


def _failure(rule: Watch, state: Row[Any]) -> Draft:
    name, where = state.name or state.slug, state.environment
    title = f"Monitor {name} {WORDS[state.status]} ({where})"
    text = f"{rule.title}: the job {name} {WORDS[state.status]} in {where}"
    if state.failures > 1:
        text += f", {state.failures:,} failed runs in a row"
    since = f"Failing since {state.since:%Y-%m-%d %H:%M} UTC." if state.since else ""
    return Draft(KIND, title, f"{text}. {since}".strip(), project_id=state.project_id)


def _end(rule: Watch, state: Row[Any], verb: str = "") -> Draft:
    name, where = state.name or state.slug, state.environment
    anew = "is paused" if state.paused else "starts anew"
    verb = verb or ("is ok again" if state.status == "ok" else anew)
    title = f"Monitor {name} {verb} ({where})"
    text = f"{rule.title}: the job {name} {verb} in {where}."
    return Draft(RESOLVED, title, text, project_id=state.project_id)


class _Sender:
    """Adds notifications in a transaction, which read the channels and the instance once."""

    def __init__(self, conn: Connection, now: datetime) -> None:
        self.conn, self.now = conn, now

    @cached_property
    def channels(self) -> list[Channel]:
        return list_channels(self.conn)

    @cached_property
    def instance(self) -> str:
        value = select(facts.c.value).where(facts.c.name == "instance_id")
        return str(self.conn.scalar(value))[:12]

    def add(self, rule: Watch, draft: Draft, state_id: int) -> None:
        incident = f"devenviro-{self.instance}-monitor-{state_id}"
        draft = replace(draft, incident=incident)
        to = chosen(self.channels, rule.channel_ids)
        add_notification(self.conn, draft, to, self.now, rule_id=rule.id)


def _say_failure(conn: Connection, sender: _Sender, rule: Watch, state: Row[Any]) -> None:
    sender.add(rule, _failure(rule, state), state.id)
    row = {"rule_id": rule.id, "state_id": state.id, "at": sender.now, "is_open": True}
    conn.execute(upsert(conn, noticed_monitors, at=replaced, is_open=replaced), row)


def _say_end(conn: Connection, sender: _Sender, rule: Watch, state: Row[Any]) -> None:
    sender.add(rule, _end(rule, state), state.id)
    _close(conn, rule, state)


def _close(conn: Connection, rule: Watch, state: Row[Any]) -> None:
    columns = noticed_monitors.c
    named = columns.rule_id == rule.id, columns.state_id == state.id
    conn.execute(update(noticed_monitors).where(*named).values(is_open=False))
