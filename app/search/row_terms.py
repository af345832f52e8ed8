"""Terms of an event that the row of an issue and its tags answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, not_, or_

from app.issues.tables import issue_tags, issues
from app.protocol.event import clean_text
from app.search.errors import QueryError
from app.search.grammar import Term, Value
from app.search.matching import matches
from app.search.projects import project_ids
from app.store.paging import hidden
from app.store.searching import contains

_COLUMNS = issues.c
_OF_ROW = {"level": _COLUMNS.level, "error.type": _COLUMNS.type}
# Every event has a tag of these names, if it has such a value.
_OF_TAGS = ("release", "environment", "transaction")


def condition_on_row(conn: Connection, term: Term) -> ColumnElement[bool]:
    """Return the condition of a term of an event.

    :raise QueryError: neither the row of an issue nor its tags have what the term looks at.
    """
    if term.key == "project":
        found: ColumnElement[bool] = hidden(_COLUMNS.project_id).in_(project_ids(conn, term))
    else:
        found = or_(*(_of_value(term, value) for value in term.values))
    return not_(found) if term.is_negated else found


def _of_value(term: Term, value: Value) -> ColumnElement[bool]:
    if not term.key:
        return contains(clean_text(value.text), _COLUMNS.title, _COLUMNS.culprit)
    if term.key in _OF_ROW:
        return matches(func.coalesce(_OF_ROW[term.key], ""), value)
    if term.key == "has":
        return _has_tag(value.text)
    tag = term.tag or (term.key if term.key in _OF_TAGS else None)
    if tag is None:
        raise QueryError(f"{term.key} cannot be searched here", term.at, term.at + len(term.key))
    return _has_tag(tag, [value])


def _has_tag(key: str, values: Sequence[Value] = ()) -> ColumnElement[bool]:
    columns = issue_tags.c
    is_it: list[Any] = [columns.issue_id == _COLUMNS.id, columns.key == clean_text(key)]
    return exists().where(and_(*is_it, *(matches(columns.value, value) for value in values)))
