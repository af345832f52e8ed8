"""The rule book: the user's rules as they are kept, and as the intake has them at hand.

A rule is kept as the text that a person wrote, so that what they read is what they wrote; it is
tested when it is written and read again wherever it is applied.

Errors::

    RuleError             what was asked cannot be done; ``field`` names what is wrong
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, delete, func, insert, select, update

from app.issues.rule_text import RuleTextError, parse_rule
from app.issues.rules import Kind, Rule
from app.issues.tables import MAX_RULE_NAME, grouping_rules
from app.projects import projects
from app.protocol.event import clean_text
from app.store import Store, StoreError, utc_now

# The SDK does not capture this logger: the tracker never records itself.
log = logging.getLogger("app.tracker")

KINDS = ("fingerprint", "ignore")
# Each is tried on every event: this many take half a millisecond of one with 60 calls.
MAX_RULES = 100
# Row ids of this table are 32 bits wide.
MAX_RULE_ID = 2**31 - 1
# For how long a process may go on to apply the rules as they were.
CACHE_S = 1.0
# When a store that did not answer is asked again: whoever asks may wait for a connection.
RETRY_S = 5.0


class RuleError(ValueError):
    """A rule cannot be kept as it is asked for.

    :param field: which of the rule's fields is wrong.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as it is kept. ``project_id`` ``None``: for all projects."""

    id: int
    project_id: int | None
    kind: Kind
    name: str
    text: str
    position: int
    enabled: bool
    created_at: datetime
    created_by: str | None

    @property
    def title(self) -> str:
        """How the rule is called."""
        return self.name or self.text

    def applies_to(self, project_id: int) -> bool:
        """Return whether events of a project are tried."""
        return self.project_id in (None, project_id)

    def read(self) -> Rule:
        """Return the rule as it is applied.

        :raise RuleTextError: it cannot be read, any more.
        """
        return parse_rule(self.text, kind=self.kind, id=self.id, name=self.name)


# ---- keeping ------------------------------------------------------------------------------------


def list_rules(conn: Connection, project_id: int | None = None) -> list[StoredRule]:
    """Return rules in the order in which they are tried.

    :param project_id: only those that this project's events are tried on.
    """
    rows = conn.execute(select(grouping_rules).order_by("position", "id"))
    found = [StoredRule(**row._mapping) for row in rows]
    return [rule for rule in found if project_id is None or rule.applies_to(project_id)]


def find_rule(conn: Connection, rule_id: int) -> StoredRule | None:
    """Return one rule, ``None`` when it is not there."""
    if not 0 < rule_id <= MAX_RULE_ID:
        return None
    row = conn.execute(select(grouping_rules).where(grouping_rules.c.id == rule_id)).first()
    return StoredRule(**row._mapping) if row else None


def add_rule(
    conn: Connection,
    *,
    kind: str,
    text: str,
    name: str = "",
    project_id: int | None = None,
    enabled: bool = True,
    created_by: str | None = None,
) -> StoredRule:
    """Keep a rule, tried after those that are there.

    :raise RuleError: it is no rule, there is no such project, or there are too many rules.
    """
    count, last = conn.execute(select(func.count(), func.max(grouping_rules.c.position))).one()
    if count >= MAX_RULES:
        raise RuleError("text", f"there are {count} rules, and no more are applied")
    values = checked(conn, kind=kind, text=text, name=name, project_id=project_id)
    values |= {"position": (last or 0) + 1, "enabled": enabled, "created_by": created_by}
    statement = insert(grouping_rules).values(**values, created_at=utc_now())
    return StoredRule(**conn.execute(statement.returning(grouping_rules)).one()._mapping)


def change_rule(conn: Connection, rule: StoredRule, **changes: Any) -> StoredRule:
    """Change fields of a rule: ``kind``, ``text``, ``name``, ``project_id``, ``enabled``.

    :raise RuleError: it is no rule any more, or there is no such project.
    """
    wanted = {name: getattr(rule, name) for name in ("kind", "text", "name", "project_id")}
    values = checked(conn, **{name: changes.get(name, value) for name, value in wanted.items()})
    values["enabled"] = changes.get("enabled", rule.enabled)
    statement = update(grouping_rules).where(grouping_rules.c.id == rule.id).values(**values)
    return StoredRule(**conn.execute(statement.returning(grouping_rules)).one()._mapping)


def place_rule(conn: Connection, rule_id: int, place: int) -> None:
    """Put a rule at a place in the order, counted from 1; those after it move on."""
    ids = [rule.id for rule in list_rules(conn) if rule.id != rule_id]
    ids.insert(min(max(0, place - 1), len(ids)), rule_id)
    for position, id in enumerate(ids, 1):
        same = grouping_rules.c.id == id
        conn.execute(update(grouping_rules).where(same).values(position=position))


def remove_rule(conn: Connection, rule_id: int) -> bool:
    """Remove a rule and return whether it was there; issues stay as they are."""
    if not 0 < rule_id <= MAX_RULE_ID:
        return False
    statement = delete(grouping_rules).where(grouping_rules.c.id == rule_id)
    return conn.execute(statement.returning(grouping_rules.c.id)).first() is not None


def checked(
    conn: Connection, *, kind: str, text: str, name: str, project_id: int | None
) -> dict[str, Any]:
    """Return the values of a rule as they are kept.

    :raise RuleError: one of them cannot be.
    """
    text, name = clean_text(text.strip()), clean_text(name.strip())
    if kind not in KINDS:
        raise RuleError("kind", f"one of {', '.join(KINDS)} is expected")
    if len(name) > MAX_RULE_NAME:
        raise RuleError("name", f"at most {MAX_RULE_NAME} characters are expected")
    if project_id is not None:
        known = select(projects.c.id).where(projects.c.id == project_id)
        if conn.execute(known).first() is None:
            raise RuleError("project_id", "there is no such project")
    try:
        parse_rule(text, kind=cast(Kind, kind))
    except RuleTextError as error:
        raise RuleError("text", str(error)) from error
    return {"kind": kind, "text": text, "name": name, "project_id": project_id}


# ---- applying -----------------------------------------------------------------------------------


class RuleBook:
    """The enabled rules, read again when they may have changed; never in the way of an event."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._until = 0.0
        self._kept: list[StoredRule] = []
        self._read: list[tuple[StoredRule, Rule]] = []

    def rules_of(self, project_id: int) -> list[Rule]:
        """Return the rules that a project's events are tried on, in their order."""
        if time.monotonic() >= self._until:
            self._refresh()
        return [rule for kept, rule in self._read if kept.applies_to(project_id)]

    def forget(self) -> None:
        """Read the rules again for the next event; other processes do within :data:`CACHE_S`."""
        self._until = 0.0

    def _refresh(self) -> None:
        # Whoever comes while another one reads waits for what it read, but not for a broken store.
        if not self._lock.acquire(timeout=0.1):
            return
        wait_s = RETRY_S
        try:
            if time.monotonic() >= self._until:
                self._take([rule for rule in self._ask() if rule.enabled])
            wait_s = CACHE_S
        except StoreError as error:
            log.warning("the rules cannot be read, the last ones go on to apply: %s", error)
        finally:
            self._until = time.monotonic() + wait_s
            self._lock.release()

    def _ask(self) -> list[StoredRule]:
        with self._store.read() as conn:
            return list_rules(conn)

    def _take(self, kept: list[StoredRule]) -> None:
        if kept == self._kept:
            return
        read = []
        for rule in kept:
            try:
                read.append((rule, rule.read()))
            except ValueError as error:
                log.warning("rule %s cannot be read and is skipped: %s", rule.id, error)
        self._kept, self._read = kept, read
