"""Merging issues, and unmerging groupings of an issue."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.api.issues import found_issue
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.inputs import Body, RowNumber
from app.issues import merging
from app.issues.groupings import groupings_of
from app.web import access
from app.web.current import current_store

Hash = Annotated[str, Field(min_length=1, max_length=64)]

route = Routes("issues")


class MergeBody(Body):
    """The issues to merge, all of one project; the oldest of them stays."""

    ids: Annotated[list[RowNumber], Field(min_length=2, max_length=merging.MAX_MERGED)]


class UnmergeBody(Body):
    """The groupings to unmerge, by hash; at least one grouping must stay in the issue."""

    hashes: Annotated[list[Hash], Field(min_length=1, max_length=1000)]


class Merged(ApiModel):
    """The issue that stays."""

    id: int


class UnmergedIssues(ApiModel):
    """The new issues, in the order of the hashes."""

    ids: list[int]


class IssueGrouping(ApiModel):
    """A grouping key that leads to an issue."""

    hash: str
    version: str
    key: str
    reason: str | None
    times_seen: int
    first_seen: datetime
    last_seen: datetime


class IssueGroupings(ApiModel):
    """The groupings of an issue, those seen last first."""

    groupings: list[IssueGrouping]


@route("POST /api/issues/merge", access.writes)
def merge_issues(body: MergeBody) -> Merged:
    """Merge issues of one project into the oldest of them.

    The ids of the merged issues stay valid and lead to the issue that stays.

    :raise 409: the last merge or unmerge of an issue is not finished; try again in a minute.
    """
    store, actor = current_store(), access.caller()
    with store.write() as conn:
        stays = merging.merge(conn, body.ids, actor)
    merging.follow_up(store)
    return Merged(id=stays)


@route("POST /api/issues/<int:issue_id>/unmerge", access.writes)
def unmerge_issue(issue_id: int, body: UnmergeBody) -> UnmergedIssues:
    """Move groupings of an issue into new issues, one issue for each grouping.

    The stored events of a grouping move with it. Events that are no longer stored stay in the
    counts of the old issue.

    :raise 404: no issue has this id. :raise 409: its last merge or unmerge is not finished.
    """
    store, actor = current_store(), access.caller()
    with store.write() as conn:
        found_issue(conn, issue_id)
        made = merging.unmerge(conn, issue_id, body.hashes, actor)
    merging.follow_up(store)
    return UnmergedIssues(ids=made)


@route("GET /api/issues/<int:issue_id>/groupings", access.reads)
def get_issue_groupings(issue_id: int) -> IssueGroupings:
    """List the groupings of an issue, which say why its events belong to it.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        rows = groupings_of(conn, found_issue(conn, issue_id).id)
    return IssueGroupings(groupings=rows)
