"""Texts in rows: titles, comments, notifications, errors of deliveries, names in figures.

The rows of a table are read in pages along its primary key, without the writer's lock. Those with
the person are read again and changed in one short transaction a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, Text, cast, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError

# The modules that define the tables named in `columns.py`.
import app.accounts.tables
import app.alerts.tables
import app.delivery.tables
import app.erasing.tables
import app.issues.tables
import app.memory.tables
import app.monitors.tables
import app.projects.tables
import app.stats.declared
import app.stats.tables
import app.traces.tables  # noqa: F401
from app.erasing.columns import IN_TEXTS, STAYS
from app.erasing.person import ERASED
from app.erasing.task import CUT_AT, Task
from app.issues.search_marks import mark_stale
from app.protocol.slug import read_slug
from app.store import metadata

PAGE_SIZE = 1000
# Rows that one transaction changes.
BATCH_SIZE = 200

# What the columns that stay are called in the report.
_CALLED = {
    "users": "the account of a user of this service: delete it with the user",
    "api_tokens": "the name of an API token",
    "projects": "the name or the link of a project",
    "project_keys": "the label of a key",
    "alert_channels": "an alert channel: its name, address or template, or who made it",
    "alert_rules": "an alert rule: its name or filter, or who made it",
    "grouping_rules": "a grouping rule: its name or text, or who made it",
}
_NO_BRACKETS = str.maketrans("", "", "[]")
_ACTOR = "a name in the history of what people of this service did"


def count_rows(task: Task) -> int:
    """Return how many rows a run looks through."""
    with task.store.read() as conn:
        return sum(_size(conn, metadata.tables[name]) for name in IN_TEXTS)


def erase_rows(task: Task) -> None:
    """Erase the person from the texts of all rows."""
    for name, (counted_as, columns) in IN_TEXTS.items():
        table = metadata.tables[name]
        for found in pages(task, table, columns):
            task.report.counts[counted_as] += len(found)
            if task.is_dry:
                continue
            for first in range(0, len(found), BATCH_SIZE):
                with task.write() as conn:
                    _change(conn, task, table, columns, found[first : first + BATCH_SIZE])


def note_what_stays(task: Task) -> None:
    """Report names and settings of people who run this service, which are not changed."""
    for name, columns in STAYS.items():
        table = metadata.tables[name]
        if any(_has_text(task, table, column) for column in columns):
            task.report.stays.append(f"{_CALLED.get(name, _ACTOR)} ({name})")


def _has_text(task: Task, table: Table, column: str) -> bool:
    # As text, because PostgreSQL cannot compare JSON.
    texts = select(cast(table.c[column], Text)).where(table.c[column].is_not(None)).distinct()
    with task.store.read() as conn:
        return any(_is_named(task, value) for value in conn.scalars(texts))


def _is_named(task: Task, text: str) -> bool:
    return task.person.is_in_text(text) or task.person.is_it(text)


def pages(
    task: Task,
    table: Table,
    columns: Sequence[str],
    has_person: Callable[[Task, Row[Any]], bool] | None = None,
) -> Iterator[list[Row[Any]]]:
    """Yield the rows of each page that have the person: their keys and columns.

    :param has_person: by default, whether one of the values of a row has the person.
    """
    has_person = has_person or _has_person
    key = tuple(table.primary_key)
    query = select(*dict.fromkeys((*key, *(table.c[name] for name in columns))))
    after: tuple[Any, ...] | None = None
    while True:
        page = query.order_by(*key).limit(PAGE_SIZE)
        if after is not None:
            page = page.where(tuple_(*key) > tuple_(*after))
        with task.store.read() as conn:
            rows = conn.execute(page).all()
        if found := [row for row in rows if has_person(task, row)]:
            yield found
        task.advance(len(rows))
        if len(rows) < PAGE_SIZE:
            return
        after = tuple(getattr(rows[-1], column.name) for column in key)


def is_row(table: Table, row: Any) -> list[Any]:
    """Return the SQL conditions for one row, by its primary key."""
    return [column == getattr(row, column.name) for column in table.primary_key]


def _has_person(task: Task, row: Row[Any]) -> bool:
    values = tuple(row)
    text = "\n".join(value for value in values if isinstance(value, str))
    if task.person.is_in_text(text):
        return True
    is_long = any(isinstance(value, str) and len(value) in CUT_AT for value in values)
    return any(
        task.erased(value) != value for value in values if isinstance(value, dict | list) or is_long
    ) or any(task.person.is_it(value) for value in values if isinstance(value, str))


def _change(
    conn: Connection, task: Task, table: Table, columns: Sequence[str], found: list[Row[Any]]
) -> None:
    issue_ids = []
    for one in found:
        row = conn.execute(select(table).where(*is_row(table, one))).first()
        values = task.in_row(row, tuple(columns)) if row else {}
        if values:
            _write(conn, table, one, values)
            issue_ids += [one.id] if table.name == "issues" else []
    mark_stale(conn, issue_ids)


def _write(conn: Connection, table: Table, row: Any, values: dict[str, Any]) -> None:
    """Write new values. If another row has them already, a number makes them differ."""
    number, tried = 1, values
    while True:
        try:
            with conn.begin_nested():
                changed = fitting(table, tried)
                conn.execute(update(table).where(*is_row(table, row)).values(changed))
            return
        except IntegrityError:
            number += 1
            if number > 1000:
                raise
            tried = {
                name: value.replace(ERASED, f"[erased {number}]")
                if isinstance(value, str)
                else value
                for name, value in values.items()
            }


def fitting(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """Return values within the lengths of their columns: a short address is shorter than ERASED.

    A slug stays one, so that it is found.
    """
    found = {}
    for name, value in values.items():
        if isinstance(value, str):
            value = read_slug(value.translate(_NO_BRACKETS)) if name == "slug" else value
            value = value[: getattr(table.c[name].type, "length", None)]
        found[name] = value
    return found


def _size(conn: Connection, table: Table) -> int:
    return int(conn.scalar(select(func.count()).select_from(table)) or 0)
