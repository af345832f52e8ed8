"""The rule book: the stored rules of the user, and a cache of them for the intake.

A rule is stored as the text that a person wrote, so that they read their own text again. The text
is checked when it is stored, and parsed again when the rule is applied.

Errors::

    RuleError             a rule cannot be stored; ``field`` names the wrong field
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, ValidationError
from sqlalchemy import Connection, delete, func, insert, select, update

from app.accounts import audit
from app.inputs import Body, Control, InputError, ProjectId
from app.issues.rule_text import MAX_TEXT, RuleTextError, parse_rule
from app.issues.rules import Kind, Rule
from app.issues.tables import MAX_RULE_NAME, grouping_rules
from app.projects import projects
from app.protocol.event import clean_text
from app.store import Store, StoreError, utc_now

# The SDK does not capture this logger: the tracker never records itself.
log = logging.getLogger("app.tracker")

# Every rule is tried on every event: this many rules take half a millisecond for an event with 60
# calls.
MAX_RULES = 100
# Row ids of this table are 32 bits wide.
MAX_RULE_ID = 2**31 - 1
# Seconds for which a process may apply old rules after a change.
CACHE_S = 1.0
# Seconds until the next query after the store did not answer: a query may wait for a connection.
RETRY_S = 5.0


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


class RuleInput(Body):
    """What a rule does, and the project that it applies to."""

    kind: Annotated[Kind, Control("Kind")]
    text: Annotated[
        RuleText,
        Control(
            "Rule",
            placeholder='type:TimeoutError path:"*/shop/*" -> timeout-{{ transaction }}',
        ),
    ]
    name: Annotated[RuleName, Control("Name", help="Shown where it decided; else its text is.")] = (
        ""
    )
    project_id: ProjectId | None = None


class RuleError(InputError):
    """A rule cannot be stored with these values."""


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as it is stored.

    :param project_id: the project that it applies to; ``None`` for all projects.
    """

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
        """The name of the rule, or its text without a name."""
        return self.name or self.text

    def applies_to(self, project_id: int) -> bool:
        """Return whether the rule applies to events of a project."""
        return self.project_id in (None, project_id)

    def read(self) -> Rule:
        """Return the rule in the form in which it is applied.

        :raise RuleTextError: the stored text can no longer be read.
        """
        return parse_rule(self.text, kind=self.kind, id=self.id, name=self.name)


# ---- storing ------------------------------------------------------------------------------------


def list_rules(conn: Connection, project_id: int | None = None) -> list[StoredRule]:
    """Return rules in the order in which they are tried.

    :param project_id: return only the rules that apply to this project.
    """
    rows = conn.execute(select(grouping_rules).order_by("position", "id"))
    found = [StoredRule(**row._mapping) for row in rows]
    return [rule for rule in found if project_id is None or rule.applies_to(project_id)]


def find_rule(conn: Connection, rule_id: int) -> StoredRule | None:
    """Return a rule, ``None`` when it does not exist."""
    if not 0 < rule_id <= MAX_RULE_ID:
        return None
    row = conn.execute(select(grouping_rules).where(grouping_rules.c.id == rule_id)).first()
    return StoredRule(**row._mapping) if row else None


def add_rule(
    conn: Connection, *, enabled: bool = True, created_by: str | None = None, **fields: Any
) -> StoredRule:
    """Store a rule after all existing rules, and return it.

    :param fields: the fields of :class:`RuleInput`.
    :raise RuleError: a field is not valid, the project does not exist, or there are too many rules.
    """
    count, last = conn.execute(select(func.count(), func.max(grouping_rules.c.position))).one()
    if count >= MAX_RULES:
        raise RuleError(f"there are {count} rules, and no more are applied", "text")
    values = checked(conn, **fields).model_dump()
    values |= {"position": (last or 0) + 1, "enabled": enabled, "created_by": created_by}
    statement = insert(grouping_rules).values(**values, created_at=utc_now())
    made = StoredRule(**conn.execute(statement.returning(grouping_rules)).one()._mapping)
    audit.note(conn, "grouping_rule_added", f"grouping rule {made.id}", made.title)
    return made


def change_rule(conn: Connection, rule: StoredRule, **changes: Any) -> StoredRule:
    """Change fields of a rule and return it.

    :param changes: of ``kind``, ``text``, ``name``, ``project_id`` and ``enabled``.
    :raise RuleError: the changed rule is not valid, or the project does not exist.
    """
    fields = {name: changes.get(name, getattr(rule, name)) for name in RuleInput.model_fields}
    values = checked(conn, **fields).model_dump()
    values["enabled"] = changes.get("enabled", rule.enabled)
    audit.note(conn, "grouping_rule_changed", f"grouping rule {rule.id}", rule.title)
    statement = update(grouping_rules).where(grouping_rules.c.id == rule.id).values(**values)
    return StoredRule(**conn.execute(statement.returning(grouping_rules)).one()._mapping)


def place_rule(conn: Connection, rule_id: int, place: int) -> None:
    """Move a rule to a position in the order, from 1; the rules after it move down."""
    ids = [rule.id for rule in list_rules(conn) if rule.id != rule_id]
    ids.insert(min(max(0, place - 1), len(ids)), rule_id)
    for position, id in enumerate(ids, 1):
        same = grouping_rules.c.id == id
        conn.execute(update(grouping_rules).where(same).values(position=position))


def remove_rule(conn: Connection, rule_id: int) -> bool:
    """Delete a rule and return whether it existed; issues stay as they are."""
    if not 0 < rule_id <= MAX_RULE_ID:
        return False
    statement = delete(grouping_rules).where(grouping_rules.c.id == rule_id)
    existed = conn.execute(statement.returning(grouping_rules.c.id)).first() is not None
    if existed:
        audit.note(conn, "grouping_rule_deleted", f"grouping rule {rule_id}")
    return existed


def checked(conn: Connection, **fields: Any) -> RuleInput:
    """Return the fields of a rule, cleaned and validated.

    :param fields: the fields of :class:`RuleInput`.
    :raise RuleError: a field is not valid, or the project does not exist.
    """
    cleaned = {
        name: clean_text(value.strip()) if isinstance(value, str) else value
        for name, value in fields.items()
    }
    try:
        rule = RuleInput.model_validate(cleaned)
        parse_rule(rule.text, kind=rule.kind)
    except ValidationError as error:
        (wrong, *_) = error.errors(include_input=False)
        raise RuleError(wrong["msg"], str(wrong["loc"][0])) from error
    except RuleTextError as error:
        raise RuleError(str(error), "text") from error
    if rule.project_id is not None:
        known = select(projects.c.id).where(projects.c.id == rule.project_id)
        if conn.execute(known).first() is None:
            raise RuleError("there is no such project", "project_id")
    return rule


# ---- applying -----------------------------------------------------------------------------------


class RuleBook:
    """A cache of the enabled rules, which is refreshed when it may be out of date.

    If the store does not answer, the last known rules are used, so that events are still accepted.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._until = 0.0
        self._kept: list[StoredRule] = []
        self._read: list[tuple[StoredRule, Rule]] = []

    def rules_of(self, project_id: int) -> list[Rule]:
        """Return the rules that apply to a project, in their order."""
        if time.monotonic() >= self._until:
            self._refresh()
        return [rule for kept, rule in self._read if kept.applies_to(project_id)]

    def forget(self) -> None:
        """Make the next event read the rules again.

        Other processes read them again within :data:`CACHE_S` seconds.
        """
        self._until = 0.0

    def _refresh(self) -> None:
        # A thread waits for another thread that reads the rules now, but not for a broken store.
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
