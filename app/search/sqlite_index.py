"""The two indexes on SQLite: tables of FTS5, to which a row is a text of tokens.

``search_events`` keeps no texts, which would double its size. FTS5 can remove a row only if it is
told the row's text. So ``search_event_tokens`` has it, compressed to a third. ``search_issues`` has
far fewer rows and keeps its texts. Neither counts positions: no query asks for one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, column, delete, insert, select, table, text

from app.search.clauses import Clause, Match
from app.search.tokens import ANY
from app.store import RowId

# Token, a separator of tokens, and the options are those that the migration makes the tables with.
_TOKENS = table("search_event_tokens", column("event_id", RowId), column("tokens"))
_ISSUES = table("search_issues", column("rowid", RowId), column("tokens"))
_ADD = text("INSERT INTO search_events (rowid, tokens) VALUES (:event_id, :tokens)")
_REMOVE = text(
    "INSERT INTO search_events (search_events, rowid, tokens) VALUES ('delete', :event_id, :tokens)"
)
_IDS: Any = bindparam("ids", expanding=True)


class SqliteIndex:
    """The full-text tables on SQLite, see :class:`app.search.index.FullText`."""

    # FTS5 yields the rows of a query one by one in the order of their ids, from either end.
    is_ordered = True
    event_id = "i.rowid"
    events = "search_events AS i"
    is_event = "i.search_events MATCH :query AND i.rowid >= :low AND i.rowid < :high"
    issues = "SELECT rowid AS issue_id FROM search_issues WHERE search_issues MATCH :query"

    def add_events(self, conn: Connection, documents: Mapping[int, Sequence[str]]) -> None:
        """Add events. An event that is there is replaced."""
        self.remove_events(conn, documents)
        texts = {event_id: " ".join(tokens) for event_id, tokens in documents.items()}
        rows: list[dict[str, Any]]
        rows = [{"event_id": event_id, "tokens": text} for event_id, text in texts.items()]
        conn.execute(_ADD, rows)
        packed = {event_id: zlib.compress(text.encode()) for event_id, text in texts.items()}
        rows = [{"event_id": event_id, "tokens": tokens} for event_id, tokens in packed.items()]
        conn.execute(insert(_TOKENS), rows)

    def remove_events(self, conn: Connection, event_ids: Iterable[int]) -> None:
        """Remove events; those that are not in the index are left out."""
        ids = list(event_ids)
        found = [
            {"event_id": event_id, "tokens": tokens}
            for event_id, tokens in _tokens_of_events(conn, ids).items()
        ]
        if found:
            conn.execute(_REMOVE, found)
            conn.execute(delete(_TOKENS).where(_TOKENS.c.event_id.in_(_IDS)), {"ids": ids})

    def put_issue(self, conn: Connection, issue_id: int, tokens: Sequence[str]) -> None:
        """Put the document of an issue in place of the one that is there."""
        self.remove_issues(conn, [issue_id])
        if tokens:
            conn.execute(insert(_ISSUES), {"rowid": issue_id, "tokens": " ".join(tokens)})

    def remove_issues(self, conn: Connection, issue_ids: Iterable[int]) -> None:
        """Remove the documents of issues."""
        conn.execute(delete(_ISSUES).where(_ISSUES.c.rowid.in_(_IDS)), {"ids": list(issue_ids)})

    def tokens_of_issues(self, conn: Connection, issue_ids: Iterable[int]) -> dict[int, list[str]]:
        """Return the tokens of issues, by row id."""
        query = select(_ISSUES.c.rowid, _ISSUES.c.tokens).where(_ISSUES.c.rowid.in_(_IDS))
        rows = conn.execute(query, {"ids": list(issue_ids)})
        return {issue_id: tokens.split() for issue_id, tokens in rows}

    def clear(self, conn: Connection) -> None:
        """Remove everything."""
        conn.execute(text("INSERT INTO search_events (search_events) VALUES ('delete-all')"))
        conn.execute(text("DELETE FROM search_event_tokens"))
        conn.execute(text("DELETE FROM search_issues"))

    def query_of(self, clauses: Sequence[Clause], low: int = 0, high: int = 0) -> str:
        """Return the expression of FTS5 for clauses, all of which have to be fulfilled."""
        wanted = [_any_of(clause) for clause in clauses if not clause.is_negated]
        excluded = [_any_of(clause) for clause in clauses if clause.is_negated]
        query = " AND ".join(wanted or [_quoted(Match(ANY))])
        return f"({query}) NOT ({' OR '.join(excluded)})" if excluded else query

    issue_query_of = query_of


def _any_of(clause: Clause) -> str:
    ways = [" AND ".join(_quoted(match) for match in way) for way in clause.any_of]
    return "(" + " OR ".join(f"({way})" for way in ways) + ")"


def _quoted(match: Match) -> str:
    return f'"{match.token}"{" *" if match.is_beginning else ""}'


def _tokens_of_events(conn: Connection, event_ids: list[int]) -> dict[int, str]:
    query = select(_TOKENS.c.event_id, _TOKENS.c.tokens).where(_TOKENS.c.event_id.in_(_IDS))
    rows = conn.execute(query, {"ids": event_ids})
    return {event_id: zlib.decompress(tokens).decode() for event_id, tokens in rows}
