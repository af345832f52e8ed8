"""What a list asks of the store as a whole, with one question."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, cast, func, literal_column, null, select, union_all

from app.accounts.tables import users
from app.events.tables import events
from app.issues.tables import issues
from app.search.tables import search_state
from app.stats.tables import environments_counted
from app.store import DriverStatement


class ListFacts(NamedTuple):
    """Facts of the store.

    :param users: the names of all users, sorted.
    :param newest: the row id of the newest event; 0 without events.
    :param highest: the highest id of an issue; 0 without issues.
    :param searchable: the row id of the last event that can be searched for.
    :param counted: the row id of the last event that is counted for its project.
    :param oldest: row id of the oldest event, and when it happened; ``None`` without events.
    """

    users: list[str]
    newest: int
    highest: int
    searchable: int
    counted: int
    oldest: tuple[int, datetime] | None


def read_facts(conn: Connection) -> ListFacts:
    """Return the facts of a store."""
    names: list[str] = []
    numbers: dict[str, int] = {}
    oldest = None
    for kind, number, name, at in _FACTS.fetch(conn, {}):
        if kind == "user":
            names.append(name)
        elif kind == "oldest":
            oldest = number, at
        else:
            numbers[kind] = number or 0
    return ListFacts(
        sorted(names),
        numbers["newest"],
        numbers["highest"],
        numbers["searchable"],
        numbers["counted"],
        oldest,
    )


_first = select(events.c.id, events.c.timestamp).order_by(events.c.id).limit(1).subquery()
_NO_NAME, _NO_TIME = cast(null(), users.c.username.type), cast(null(), events.c.timestamp.type)
_NUMBERS = {
    "newest": select(func.max(events.c.id)),
    "highest": select(func.max(issues.c.id)),
    "searchable": select(func.max(search_state.c.up_to)),
    "counted": select(func.max(environments_counted.c.event_id)),
}


def _facts(_dialect: str) -> Any:
    return union_all(
        select(literal_column("'oldest'"), _first.c.id, _NO_NAME, _first.c.timestamp),
        select(literal_column("'user'"), literal_column("0"), users.c.username, _NO_TIME),
        *(
            select(literal_column(f"'{name}'"), number.scalar_subquery(), _NO_NAME, _NO_TIME)
            for name, number in _NUMBERS.items()
        ),
    )


_FACTS = DriverStatement(_facts)
