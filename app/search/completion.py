"""Completions of a word of a query: keys, and the values that were seen last.

    complete(conn, "env")             # environment:
    complete(conn, "environment:pr")  # environment:production

What is looked at is bounded: the newest events, and the tags of the issues that were seen last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, desc, func, select

from app.accounts.tables import users
from app.events.tables import events
from app.issues.tables import IssueStatus, issue_tags, issues
from app.projects import projects
from app.protocol.lenient import LEVELS
from app.search.grammar import Query, with_term
from app.search.keys import EVENT_KEYS, ISSUE_KEYS, STATES, known_key

MAX_COMPLETIONS = 20
# The word that is completed; a longer one has no completion.
MAX_WORD = 200
# How many of the newest events, and of the issues seen last, are looked at; and of their tags.
RECENT_EVENTS, RECENT_ISSUES, RECENT_TAGS = 1000, 100, 2000
NOTES = {
    "is": "state of the issue",
    "assigned": "a user, me or none",
    "timesSeen": "number of events, as >100",
    "users": "number of users, as >10",
    "firstSeen": "-24h: within 24 hours",
    "lastSeen": "+7d: longer than 7 days ago",
    "release": "latest, too",
    "project": "name or id",
    "has": "any value of a key or tag",
    "error.type": "class of the exception",
    "error.value": "message of the exception",
    "stack.function": "of a frame",
    "stack.module": "of a frame",
    "stack.filename": "of a frame",
    "url": "of the request",
    "trace": "id of the trace",
}
# Values that are the same everywhere. They are written without quotes.
_FIXED = {
    "is": STATES,
    "level": LEVELS,
    "assigned": ("me", "none"),
    "release": ("latest",),
    "timesSeen": (">10", ">100", ">1000"),
    "users": (">1", ">10", ">100"),
    "firstSeen": ("-1h", "-24h", "-7d"),
    "lastSeen": ("-1h", "-24h", "-7d", "+7d"),
}
_COLUMNS = {name: events.c[name] for name in ("environment", "release", "transaction", "platform")}


class Completion(NamedTuple):
    """What may stand in place of a word.

    :param text: the word; a key ends with a colon, so its value is completed next.
    :param note: what a key means; empty for a value.
    """

    text: str
    note: str = ""


def complete(
    conn: Connection, word: str, *, project_id: int | None = None, for_events: bool = False
) -> list[Completion]:
    """Return at most :data:`MAX_COMPLETIONS` completions of a word, the most likely first.

    :param project_id: only values of this project.
    :param for_events: without the keys that only issues have.
    """
    return completions_of(
        word,
        lambda name: _keys(conn, name, project_id, for_events),
        lambda key, part: _terms(key, part, lambda: _values(conn, key, project_id)),
    )


def completions_of(
    word: str,
    keys: Callable[[str], list[Completion]],
    terms: Callable[[str, str], list[Completion]],
) -> list[Completion]:
    """Return the completions of a word: of a key, or of the value of a key.

    :param keys: returns those of the beginning of a key.
    :param terms: returns those of a key and the beginning of a value.
    """
    sign = "!" if word.startswith("!") else ""
    name, colon, part = word.removeprefix(sign).partition(":")
    if len(word) > MAX_WORD or (colon and not name):
        return []
    found = terms(known_key(name) or name, part) if colon else keys(name)
    return [one._replace(text=f"{sign}{one.text}") for one in found[:MAX_COMPLETIONS]]


def _keys(
    conn: Connection, part: str, project_id: int | None, for_events: bool
) -> list[Completion]:
    known = EVENT_KEYS if for_events else (*ISSUE_KEYS, *EVENT_KEYS)
    names = fitting(part, [*known, *_tags(conn, project_id)])
    notes = dict.fromkeys(known, "") | NOTES
    return [Completion(f"{name}:", notes.get(name, "tag")) for name in names]


def _terms(key: str, part: str, values: Callable[[], list[str]]) -> list[Completion]:
    return terms_of(key, part, _FIXED.get(key, ()), values)


def terms_of(
    key: str, part: str, fixed: Iterable[str], values: Callable[[], list[str]]
) -> list[Completion]:
    """Return the completions of a key and the beginning of a value.

    :param fixed: values that are written without quotes.
    """
    if part.startswith("["):
        return []
    text = part.removeprefix('"').removesuffix('"').replace('\\"', '"')
    found = [f"{key}:{value}" for value in fitting(text, fixed)]
    found += [str(with_term(Query(), key, value)) for value in fitting(text, values())]
    # The word itself is no completion.
    return [Completion(term) for term in dict.fromkeys(found) if term != f"{key}:{part}"]


def fitting(part: str, texts: Iterable[str]) -> list[str]:
    """Return the texts that begin with a part, then those that have two or more letters inside."""
    folded, every = part.lower(), list(dict.fromkeys(texts))
    first = [text for text in every if text.lower().startswith(folded)]
    if len(folded) < 2:
        return first
    return first + [text for text in every if folded in text.lower()[1:] and text not in first]


def _values(conn: Connection, key: str, project_id: int | None) -> list[str]:
    if key in _COLUMNS:
        return _of_events(conn, _COLUMNS[key], project_id)
    if key == "assigned":
        return list(conn.scalars(select(users.c.username).order_by(users.c.username)))
    if key == "project":
        named = select(projects.c.name).where(projects.c.purged_at.is_(None))
        return list(conn.scalars(named.order_by(projects.c.id)))
    if key == "error.type":
        newest = _newest_issues(project_id, issues.c.type).subquery().c
        return list(conn.scalars(select(newest.type).where(newest.type.is_not(None)).distinct()))
    if key == "has":
        return [*EVENT_KEYS[:-1], *_tags(conn, project_id)]
    if key in (*ISSUE_KEYS, *EVENT_KEYS):
        return []
    return _of_tag(conn, key.removeprefix("tags[").removesuffix("]"), project_id)


def _of_events(conn: Connection, column: Any, project_id: int | None) -> list[str]:
    """Return the values of a column, the most frequent first."""
    newest = select(column.label("value")).order_by(events.c.id.desc()).limit(RECENT_EVENTS)
    if project_id is not None:
        newest = newest.where(events.c.project_id == project_id)
    of = newest.subquery().c
    query = select(of.value).where(of.value.is_not(None)).group_by(of.value)
    return list(conn.scalars(query.order_by(func.count().desc(), of.value)))


def _tags(conn: Connection, project_id: int | None) -> list[str]:
    of = issue_tags.c
    query = select(of.key).where(of.issue_id.in_(_newest_issues(project_id, issues.c.id)))
    query = query.group_by(of.key).order_by(func.count().desc(), of.key)
    # Tags named as a key mostly have the values of that key.
    names = conn.scalars(query.limit(RECENT_TAGS))
    return [written(name) for name in names if known_key(name) is None]


def _of_tag(conn: Connection, name: str, project_id: int | None) -> list[str]:
    of = issue_tags.c
    among = of.issue_id.in_(_newest_issues(project_id, issues.c.id))
    query = select(of.value).where(among, of.key == name, of.value != "").group_by(of.value)
    query = query.order_by(desc(func.sum(of.times_seen)), of.value)
    return list(conn.scalars(query.limit(RECENT_TAGS)))


def written(tag: str) -> str:
    """Return the key of a tag as a query has it, without its colon."""
    return str(with_term(Query(), f"tags[{tag}]", "x")).removesuffix(":x")


def _newest_issues(project_id: int | None, column: Any) -> Select[Any]:
    query = select(column).where(issues.c.status == IssueStatus.UNRESOLVED)
    if project_id is not None:
        query = query.where(issues.c.project_id == project_id)
    return query.order_by(issues.c.last_seen.desc()).limit(RECENT_ISSUES)
