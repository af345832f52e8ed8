"""The two indexes on PostgreSQL: tables with a ``tsvector``, each with an index of the kind GIN.

GIN has no order, so it cannot read the newest events first, and it reads all places of a token.
Therefore the tokens of an event begin with the number of its block, 4,096 row ids: a search of the
newest events reads the places of a few blocks, and never looks at others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, column, delete, table, text

from app.search.clauses import Clause, Match
from app.search.tokens import ANY
from app.store import RowId

BLOCK = 4096

_EVENTS = table("search_events", column("event_id", RowId), column("tokens"))
_ISSUES = table("search_issues", column("issue_id", RowId), column("tokens"))
_ADD = text(
    "INSERT INTO search_events (event_id, tokens)"
    " VALUES (:event_id, array_to_tsvector(CAST(:tokens AS text[])))"
    " ON CONFLICT (event_id) DO UPDATE SET tokens = excluded.tokens"
)
_PUT = text(
    "INSERT INTO search_issues (issue_id, tokens)"
    " SELECT id, array_to_tsvector(CAST(:tokens AS text[])) FROM issues WHERE id = :issue_id"
    " ON CONFLICT (issue_id) DO UPDATE SET tokens = excluded.tokens"
)
_TOKENS_OF_ISSUES = text(
    "SELECT issue_id, tsvector_to_array(tokens) FROM search_issues WHERE issue_id = ANY(:ids)"
)
_IDS: Any = bindparam("ids", expanding=True)


class PostgresIndex:
    """The full-text tables on PostgreSQL, see :class:`app.search.index.FullText`."""

    is_ordered = False
    # OFFSET 0 keeps the planner from reading rows by their ids and testing each with the query.
    event_id = "i.event_id"
    events = (
        "(SELECT event_id FROM search_events WHERE tokens @@ CAST(:query AS tsquery) OFFSET 0) AS i"
    )
    is_event = "i.event_id >= :low AND i.event_id < :high"
    issues = "SELECT issue_id FROM search_issues WHERE tokens @@ CAST(:query AS tsquery)"

    def add_events(self, conn: Connection, documents: Mapping[int, Sequence[str]]) -> None:
        """Add events. An event that is there is replaced."""
        rows = [
            {"event_id": event_id, "tokens": [f"{event_id // BLOCK:x}.{token}" for token in tokens]}
            for event_id, tokens in documents.items()
        ]
        conn.execute(_ADD, rows)

    def remove_events(self, conn: Connection, event_ids: Iterable[int]) -> None:
        """Remove events; those that are not in the index are left out."""
        conn.execute(delete(_EVENTS).where(_EVENTS.c.event_id.in_(_IDS)), {"ids": list(event_ids)})

    def put_issue(self, conn: Connection, issue_id: int, tokens: Sequence[str]) -> None:
        """Put the document of an issue in place of the one that is there."""
        if tokens:
            conn.execute(_PUT, {"issue_id": issue_id, "tokens": list(tokens)})
        else:
            self.remove_issues(conn, [issue_id])

    def remove_issues(self, conn: Connection, issue_ids: Iterable[int]) -> None:
        """Remove the documents of issues."""
        conn.execute(delete(_ISSUES).where(_ISSUES.c.issue_id.in_(_IDS)), {"ids": list(issue_ids)})

    def tokens_of_issues(self, conn: Connection, issue_ids: Iterable[int]) -> dict[int, list[str]]:
        """Return the tokens of issues, by row id."""
        rows = conn.execute(_TOKENS_OF_ISSUES, {"ids": list(issue_ids)})
        return {issue_id: list(tokens) for issue_id, tokens in rows}

    def clear(self, conn: Connection) -> None:
        """Remove everything."""
        conn.execute(text("TRUNCATE search_events, search_issues"))

    def query_of(self, clauses: Sequence[Clause], low: int, high: int) -> str:
        """Return the ``tsquery`` for clauses, in the blocks of some row ids.

        :param high: the first row id that is not read.
        """
        blocks = range(low // BLOCK, max(high - 1, low) // BLOCK + 1)
        return " | ".join(f"({_all_of(clauses, f'{block:x}.')})" for block in blocks)

    def issue_query_of(self, clauses: Sequence[Clause]) -> str:
        """Return the ``tsquery`` for clauses about issues."""
        return _all_of(clauses, "")


def _all_of(clauses: Sequence[Clause], start: str) -> str:
    wanted = [_any_of(clause, start) for clause in clauses if not clause.is_negated]
    excluded = [_any_of(clause, start) for clause in clauses if clause.is_negated]
    # GIN would read the whole index for a query that only excludes.
    wanted = wanted or [_quoted(Match(ANY), start)]
    return " & ".join([*wanted, *(f"!{clause}" for clause in excluded)])


def _any_of(clause: Clause, start: str) -> str:
    ways = [" & ".join(_quoted(match, start) for match in way) for way in clause.any_of]
    return "(" + " | ".join(f"({way})" for way in ways) + ")"


def _quoted(match: Match, start: str) -> str:
    return f"'{start}{match.token}'{':*' if match.is_beginning else ''}"
