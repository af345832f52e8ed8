"""The full-text tables, by the database that holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Protocol

from sqlalchemy import Connection

from app.search.clauses import Clause


class FullText(Protocol):
    """The two full-text tables: documents of events and of issues, by row id.

    The SQL below has the parameters `query`, and for events the row ids `low` and `high`.

    :param events: what stands after FROM, to read events.
    :param is_event: the condition for the wanted ones.
    :param event_id: the row id of an event.
    :param issues: a query for ``issue_id``.
    :param is_ordered: whether events can be read one by one, the newest first, without a window.
    """

    is_ordered: bool
    events: str
    is_event: str
    event_id: str
    issues: str

    def add_events(self, conn: Connection, documents: Mapping[int, Sequence[str]]) -> None:
        """Add events. An event that is there is replaced."""

    def remove_events(self, conn: Connection, event_ids: Iterable[int]) -> None:
        """Remove events; those that are not in the index are left out."""

    def put_issue(self, conn: Connection, issue_id: int, tokens: Sequence[str]) -> None:
        """Put the document of an issue in place of the one that is there."""

    def remove_issues(self, conn: Connection, issue_ids: Iterable[int]) -> None:
        """Remove the documents of issues."""

    def tokens_of_issues(self, conn: Connection, issue_ids: Iterable[int]) -> dict[int, list[str]]:
        """Return the tokens of issues, by row id."""

    def clear(self, conn: Connection) -> None:
        """Remove everything."""

    def query_of(self, clauses: Sequence[Clause], low: int, high: int) -> str:
        """Return the database's expression for clauses about events with some row ids."""

    def issue_query_of(self, clauses: Sequence[Clause]) -> str:
        """Return the database's expression for clauses about issues."""


def full_text(conn: Connection) -> FullText:
    """Return the full-text tables of the database of a connection."""
    return _of(conn.dialect.name)


@cache
def _of(dialect: str) -> FullText:
    if dialect == "sqlite":
        from app.search.sqlite_index import SqliteIndex

        return SqliteIndex()
    from app.search.postgres_index import PostgresIndex

    return PostgresIndex()
