"""Terms that look at the issue, as conditions in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import and_, func, not_, or_, true

from app.inputs.period import Range
from app.issues.filter import NOBODY
from app.issues.tables import STATUSES, IssueStatus, issues
from app.search.grammar import Term, Value
from app.search.keys import moments_of, span_of
from app.search.matching import matches
from app.store.paging import hidden

_COLUMNS = issues.c
# What stands for nobody in `assigned:`.
NONE = ("none", NOBODY)
_OF_NUMBERS = {"timesSeen": _COLUMNS.times_seen, "users": _COLUMNS.users}
_OF_TIMES = {"firstSeen": _COLUMNS.first_seen, "lastSeen": _COLUMNS.last_seen}


def condition_of(term: Term, chosen: Range) -> Any:
    """Return the condition of a term of the issue.

    :param chosen: the range of the list, for ``is:new``.
    """
    found = or_(*(_of_value(term, value, chosen) for value in term.values))
    return not_(found) if term.is_negated else found


def statuses_of(terms: Iterable[Term]) -> tuple[str, ...] | None:
    """Return the statuses that issues can have by these terms; ``None`` for all of them."""
    wanted = set(STATUSES)
    for term in terms:
        named = {value.text for value in term.values}
        if term.key == "is" and named <= set(STATUSES):
            wanted = wanted - named if term.is_negated else wanted & named
    return None if len(wanted) == len(STATUSES) else tuple(s for s in STATUSES if s in wanted)


def _of_value(term: Term, value: Value, chosen: Range) -> Any:
    if term.key == "is":
        return _is(value.text, chosen)
    if term.key == "assigned":
        return _is_assigned_to(value)
    if term.key in _OF_TIMES:
        return _of_time(hidden(_OF_TIMES[term.key]), term.operator, value.text, chosen)
    return _compared(hidden(_OF_NUMBERS[term.key]), term.operator, int(value.text))


def _is(state: str, chosen: Range) -> Any:
    if state == "regressed":
        is_open = hidden(_COLUMNS.status) == IssueStatus.UNRESOLVED
        return and_(_COLUMNS.regressed.is_(True), is_open)
    if state in ("assigned", "unassigned"):
        assigned = hidden(_COLUMNS.assigned_to)
        return assigned.is_not(None) if state == "assigned" else assigned.is_(None)
    if state != "new":
        return hidden(_COLUMNS.status) == state
    first = hidden(_COLUMNS.first_seen)
    is_after = first >= chosen.start if chosen.start else true()
    return and_(is_after, first < chosen.end) if chosen.end else is_after


def _is_assigned_to(value: Value) -> Any:
    assigned = hidden(_COLUMNS.assigned_to)
    if value.text in NONE and not value.is_quoted:
        return assigned.is_(None)
    # Without NULL, so that the negation holds for issues of nobody.
    return matches(func.coalesce(assigned, ""), value)


def _of_time(column: Any, operator: str, text: str, chosen: Range) -> Any:
    span = span_of(text)
    if span is not None:
        since = chosen.now - span
        return column >= since if text[0] == "-" else column < since
    start, end = moments_of(text) or (chosen.now, chosen.now)
    by_operator: dict[str, Callable[[], Any]] = {
        "=": lambda: and_(column >= start, column < end),
        ">": lambda: column >= end,
        ">=": lambda: column >= start,
        "<": lambda: column < start,
        "<=": lambda: column < end,
    }
    return by_operator[operator]()


def _compared(column: Any, operator: str, number: int) -> Any:
    by_operator: dict[str, Callable[[], Any]] = {
        "=": lambda: column == number,
        ">": lambda: column > number,
        ">=": lambda: column >= number,
        "<": lambda: column < number,
        "<=": lambda: column <= number,
    }
    return by_operator[operator]()
