"""What the page of an issue asks beside the issue, with one question; the page may ask 16."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, cast, false, literal_column, null, select, union_all

from app.accounts.tables import users
from app.issues.similarity_index import unread_issues
from app.issues.tables import groupings, remembered_fixes, transitions
from app.search.lookups import MAX_WAYS

# In how many rows of an issue's history its comments are looked for.
MAX_HISTORY = 200


class Comment(NamedTuple):
    """A comment; ``actor`` is ``None`` if its author is not known any more."""

    id: int
    actor: str | None
    note: str
    at: datetime
    is_fix: bool = False


class IssueFacts(NamedTuple):
    """Facts about an issue, and about the store.

    :param users: the names of all users, sorted.
    :param groupings: the ids of its groupings, at most 500.
    :param comments: the newest comments among the newest :data:`MAX_HISTORY` rows of its history.
    :param all_compared: whether every issue can be compared with others.
    """

    users: list[str]
    groupings: list[int]
    comments: list[Comment]
    all_compared: bool


def read_facts(conn: Connection, issue_id: int, comments: int) -> IssueFacts:
    """Return the facts.

    :param comments: how many comments at most.
    """
    found: dict[str, list[Any]] = {"user": [], "grouping": [], "comment": [], "unread": []}
    for kind, *fields in conn.execute(_facts(comments), {"issue": issue_id}):
        found[kind].append(Comment(*fields))
    return IssueFacts(
        sorted(row.actor for row in found["user"]),
        [row.id for row in found["grouping"]],
        sorted(found["comment"], reverse=True),
        not found["unread"],
    )


@cache
def _facts(comments: int) -> Any:
    of = transitions.c
    newest = select(of.id, of.kind, of.actor, of.note, of.at).where(
        of.issue_id == bindparam("issue")
    )
    newest_rows = newest.order_by(of.id.desc()).limit(MAX_HISTORY).subquery().c
    fix = remembered_fixes.c.comment_id
    is_fix = fix.is_not(None).label("is_fix")
    said = select(newest_rows.id, newest_rows.actor, newest_rows.note, newest_rows.at, is_fix)
    said = said.outerjoin(remembered_fixes, fix == newest_rows.id)
    said = said.where(newest_rows.kind == "commented").order_by(newest_rows.id.desc())
    own = select(groupings.c.id).where(groupings.c.issue_id == bindparam("issue")).limit(MAX_WAYS)
    no_name, no_text = cast(null(), of.actor.type), cast(null(), of.note.type)
    no_time = cast(null(), of.at.type)
    rest = no_name, no_text, no_time, false()
    return union_all(
        select(literal_column("'comment'"), *said.limit(comments).subquery().c),
        select(literal_column("'grouping'"), own.subquery().c.id, *rest),
        select(literal_column("'user'"), literal_column("0"), users.c.username, *rest[1:]),
        select(literal_column("'unread'"), unread_issues().subquery().c.id, *rest),
    )
