"""The filter of a list of events with a query and a range of time: for the API and the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import field_validator
from sqlalchemy import Connection, Row

from app.events.filter import EXACT, EventFilter
from app.events.queries import count_after, page_of_events, rows_with_delivery
from app.inputs import Control, InputError
from app.search.errors import QueryError
from app.search.events import are_older_gone, search_events
from app.search.grammar import Query, Term, Value, parse
from app.search.issue_search import QueryText, check_query
from app.store import utc_now


class EventRows(NamedTuple):
    """A page of events.

    :param next: the row id to continue before; ``None`` at the end of the list.
    :param is_cut: whether the page ended because its filter looked at enough events.
    :param searched_back_to: when the last event that a search read happened, if it stopped there.
    :param older_are_gone: whether the range begins before the oldest event that is still stored.
    """

    rows: Sequence[Row[Any]]
    next: int | None
    is_cut: bool = False
    searched_back_to: datetime | None = None
    older_are_gone: bool = False


class EventSearch(EventFilter):
    """The filter of a list of events, with a query and a range of time in which they happened."""

    query: Annotated[QueryText | None, Control("Query")] = None

    _is_query = field_validator("query")(check_query)

    @property
    def parsed(self) -> Query:
        """The query."""
        return parse(self.query or "")

    @property
    def is_search(self) -> bool:
        """Whether the index of events answers, which is some seconds behind."""
        return bool(self.parsed) or self.start is not None or self.end is not None

    def page(self, conn: Connection, *, before: int | None = None, limit: int = 50) -> EventRows:
        """Return a page of events, newest first.

        :raise InputError: the query has terms of issues, or ``since`` or ``until`` are given too.
        """
        if self.is_search:
            return self._search(conn, before, limit)
        page = page_of_events(conn, self, before=before, limit=limit)
        return EventRows(page.rows, page.next[-1] if page.next else None, page.is_cut)

    def count_after(self, conn: Connection, after: int, at_most: int = 100) -> int:
        """Return how many matching events have a higher row id, counted up to ``at_most``."""
        if not self.is_search:
            return count_after(conn, self, after, at_most).number
        return sum(row.id > after for row in self._search(conn, None, at_most).rows)

    def _search(self, conn: Connection, before: int | None, limit: int) -> EventRows:
        terms, chosen = self._terms(), self.range_of(utc_now())
        matches = search_events(
            conn,
            terms,
            chosen,
            before=before,
            limit=limit,
            project_id=self.project_id,
            issue_id=self.issue_id,
            exactly={name: value for name in EXACT if (value := getattr(self, name)) is not None},
        )
        is_end = matches.next is None
        return EventRows(
            rows_with_delivery(conn, matches.ids),
            matches.next,
            is_cut=matches.searched_back_to is not None,
            searched_back_to=matches.searched_back_to,
            older_are_gone=is_end and are_older_gone(conn, chosen),
        )

    def _terms(self) -> list[Term]:
        if self.since is not None or self.until is not None:
            raise InputError("give start and end together with a query or a period", "since")
        for term in self.parsed.of_issue:
            message = f"{term.key}: finds issues, not events"
            raise QueryError(message, term.at, term.at + len(term.key))
        text = [Term("", "=", (Value(self.q, is_quoted=True),))] if self.q else []
        return [*self.parsed.terms, *text]
