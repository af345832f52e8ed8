"""The documents of issues: the shared tokens of their events, at most 32 KB.

new events ── tokens that the issue's document does not have yet ── appended while there is room
events that went or moved ── the issue is marked as stale ── its document is made again

A document also has each three neighbouring letters of its words, to find ``*`` inside a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, delete, select

from app.events.tables import events
from app.issues.search_marks import stale_issues
from app.issues.tables import issues
from app.search.index import full_text
from app.search.reading import read_documents
from app.search.tokens import ANY, ANYWHERE, trigrams
from app.store import Store

MAX_BYTES = 32 * 1024
# A document is made again from so many of the newest events of its issue, and of the oldest. Each
# takes about 0.4 ms of CPU.
MAX_EVENTS = 100


def add_to_issues(conn: Connection, found: Mapping[int, Iterable[Sequence[str]]]) -> None:
    """Add the shared tokens of new events to the documents of their issues.

    :param found: the shared tokens of each event, by issue.
    """
    index = full_text(conn)
    known = index.tokens_of_issues(conn, found)
    for issue_id, tokens_of_events in found.items():
        before = without_trigrams(known.get(issue_id, ()))
        tokens = _grown(before, tokens_of_events)
        if len(tokens) > len(before):
            index.put_issue(conn, issue_id, _with_trigrams(tokens))


def without_trigrams(tokens: Iterable[str]) -> list[str]:
    """Return the tokens that came from events."""
    return [token for token in tokens if token[0] != "t"]


def rebuild_stale(store: Store, at_most: int, timeout_s: float = 5.0) -> int:
    """Make the documents of stale issues again, and return how many.

    :param at_most: the largest number of issues.
    :raise StoreError: the store does not answer.
    """
    with store.read() as conn:
        stale = conn.execute(select(stale_issues).limit(at_most)).all()
    for issue_id, marks in stale:
        with store.read() as conn:
            tokens = _document(conn, issue_id)
        with store.write(timeout_s, durable=False) as conn:
            full_text(conn).put_issue(conn, issue_id, tokens)
            # If another event went in the meantime, the issue was marked once more.
            is_same = stale_issues.c.issue_id == issue_id, stale_issues.c.marks == marks
            conn.execute(delete(stale_issues).where(*is_same))
    return len(stale)


def _document(conn: Connection, issue_id: int) -> list[str]:
    tokens: list[str] = []
    if conn.scalar(select(issues.c.id).where(issues.c.id == issue_id)) is None:
        return tokens
    for is_newest in (True, False):
        is_of_issue = events.c.issue_id == issue_id
        read = read_documents(conn, is_of_issue, limit=MAX_EVENTS, newest=is_newest)
        tokens = _grown(tokens, (event.document.shared for event in read))
        if len(read) < MAX_EVENTS:
            break
    return _with_trigrams(tokens) if tokens else []


def _grown(before: Iterable[str], found: Iterable[Iterable[str]]) -> list[str]:
    """Return tokens with those of events added, while there is room."""
    tokens = dict.fromkeys(before)
    size = sum(map(len, tokens)) + len(tokens)
    for token in (token for of_event in found for token in of_event):
        if token not in tokens and size + len(token) < MAX_BYTES:
            tokens[token] = None
            size += len(token) + 1
    return list(tokens)


def _with_trigrams(tokens: list[str]) -> list[str]:
    grams: set[str] = set()
    for token in tokens:
        if token[0] == ANYWHERE.word:
            grams |= trigrams(token[1:])
    return [*dict.fromkeys([ANY, *tokens]), *sorted(grams)]
