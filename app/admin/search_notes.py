"""What a list says about its search: how far it looked, and what the index does not have."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sqlalchemy import Connection

from app.admin.filter_bar import ListChoice
from app.admin.filters import plural
from app.admin.list_facts import ListFacts
from app.admin.query_line import is_short
from app.inputs.period import Range
from app.search.events import are_older_gone, is_before
from app.search.grammar import Query
from app.search.indexing import MAX_LAG, lag

_RANGE = ("period", "start", "end")


class Note(NamedTuple):
    """A sentence below the query line.

    :param address: the parameters of its link; empty without a link.
    """

    text: str
    address: Mapping[str, str] = {}
    link: str = ""


def search_notes(
    conn: Connection,
    choice: ListChoice[Any],
    range: Range,
    found: Any,
    facts: ListFacts | None = None,
    *,
    is_paged: bool = False,
) -> list[Note]:
    """Return the sentences about the search of a list; none if the index was not asked.

    :param found: has ``searched_back_to``, the time at which the search stopped.
    :param facts: of the store, if they are known.
    :param is_paged: whether the list goes on with its next page, and not with an older range.
    """
    query: Query = choice.form.parsed
    if not query.of_event:
        return []
    is_behind = facts is None or facts.searchable < facts.newest
    notes = _lag(conn) if is_behind else []
    if found.searched_back_to is not None:
        notes.append(_stopped(choice, range, found.searched_back_to, is_paged))
    elif is_before(range, facts.oldest) if facts else are_older_gone(conn, range):
        notes.append(Note("Older events are no longer searchable."))
    return notes


def asked_of(form: Any, values: Mapping[str, str]) -> str:
    """Return what the links to issues end with, to show an event that was searched for.

    Links of a long query show the newest event, since each of them would repeat it.
    """
    if not form.parsed.of_event or not is_short(values):
        return ""
    given = {name: values[name] for name in _RANGE if name in values}
    return f"?{urlencode({'query': str(Query(form.parsed.of_event)), **given})}"


def _lag(conn: Connection) -> list[Note]:
    behind = lag(conn)
    if not behind:
        return []
    more = "+" if behind >= MAX_LAG else ""
    are = "is" if behind == 1 else "are"
    events = plural(behind, "event").replace(" ", f"{more} ", 1)
    return [Note(f"The newest {events} {are} not searchable yet.")]


def _stopped(choice: ListChoice[Any], range: Range, at: datetime, is_paged: bool) -> Note:
    moment = f"{at:%H:%M}" if at.date() == range.now.date() else f"{at.day} {at:%b} {at:%H:%M}"
    words = f"Searched back to {moment} (UTC)."
    if is_paged:
        return Note(words)
    start = range.start.isoformat() if range.start else ""
    address = choice.but(period="", start=start, end=at.isoformat())
    return Note(words, address, "Continue with older events")
