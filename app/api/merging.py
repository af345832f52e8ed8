"""Merging issues, and taking groupings out of one again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

from flask import abort
from pydantic import Field
from sqlalchemy import Connection

from app.api.issues import found_issue
from app.api.requests import Body, RowNumber
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.issues import merging
from app.issues.groupings import groupings_of
from app.web import access
from app.web.current import current_store
from app.web.errors import FieldErrors

Hash = Annotated[str, Field(min_length=1, max_length=64)]

route = Routes("issues")


class MergeBody(Body):
    """Issues of one project; the oldest of them stays."""

    ids: Annotated[list[RowNumber], Field(min_length=2, max_length=merging.MAX_MERGED)]


class UnmergeBody(Body):
    """Groupings of an issue, by their hashes; at least one of the issue's has to stay."""

    hashes: Annotated[list[Hash], Field(min_length=1, max_length=1000)]


class Merged(ApiModel):
    """The issue that stays."""

    id: int


class UnmergedIssues(ApiModel):
    """The new issues, in the order of the hashes."""

    ids: list[int]


class IssueGrouping(ApiModel):
    """A key that leads to an issue."""

    hash: str
    version: str
    key: str
    reason: str | None
    times_seen: int
    first_seen: datetime
    last_seen: datetime


class IssueGroupings(ApiModel):
    """Why events are this issue, the grouping seen last first."""

    groupings: list[IssueGrouping]


@route("POST /api/issues/merge", access.writes)
def merge_issues(body: MergeBody) -> Merged:
    """Merge issues into the oldest of them.

    All are of one project. An id of one that went stays good for the one that stays.

    :raise 409: the last merge or unmerge of one of them is not finished; try again in a minute.
    """
    actor = access.caller()
    with _moving("ids") as conn:
        return Merged(id=merging.merge(conn, body.ids, actor))


@route("POST /api/issues/<int:issue_id>/unmerge", access.writes)
def unmerge_issue(issue_id: int, body: UnmergeBody) -> UnmergedIssues:
    """Take groupings out of an issue, each into a new one.

    Their stored events follow. What events that are no longer stored had added to the counts stays
    where it was.

    :raise 404: no issue has this id. :raise 409: its last merge or unmerge is not finished.
    """
    actor = access.caller()
    with _moving("hashes") as conn:
        found_issue(conn, issue_id)
        return UnmergedIssues(ids=merging.unmerge(conn, issue_id, body.hashes, actor))


@contextmanager
def _moving(field: str) -> Iterator[Connection]:
    """Write, and have events and users follow once it is committed.

    :param field: what is wrong if the issues cannot be merged so.
    """
    store = current_store()
    try:
        with store.write() as conn:
            yield conn
    except merging.StillMoving as error:
        abort(409, description=f"{error}.")
    except merging.CannotMerge as error:
        raise FieldErrors([{"field": field, "message": str(error)}]) from None
    merging.follow_up(store)


@route("GET /api/issues/<int:issue_id>/groupings", access.reads)
def get_issue_groupings(issue_id: int) -> IssueGroupings:
    """Why events are this issue.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        rows = groupings_of(conn, found_issue(conn, issue_id).id)
    return IssueGroupings(groupings=rows)
