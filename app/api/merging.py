"""Merging issues, and taking groupings out of one again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field

from app.api import bp
from app.api.issues import UNKNOWN, found_issue
from app.api.openapi import Operation, answer, describe
from app.api.requests import Body, read_body
from app.inputs import RowNumber
from app.issues import merging
from app.issues.groupings import groupings_of
from app.issues.queries import find_issue
from app.web import access
from app.web.current import current_store
from app.web.errors import or_404

Hash = Annotated[str, Field(min_length=1, max_length=64)]


class MergeBody(Body):
    """Issues of one project; the oldest of them stays."""

    ids: Annotated[list[RowNumber], Field(min_length=2, max_length=merging.MAX_MERGED)]


class UnmergeBody(Body):
    """Groupings of an issue, by their hashes; at least one of the issue's has to stay."""

    hashes: Annotated[list[Hash], Field(min_length=1, max_length=1000)]


class Merged(BaseModel):
    """The issue that stays."""

    id: int


class UnmergedIssues(BaseModel):
    """The new issues, in the order of the hashes."""

    ids: list[int]


class IssueGrouping(BaseModel):
    """A key that leads to an issue."""

    hash: str
    version: str
    key: str
    reason: str | None
    times_seen: int
    first_seen: datetime
    last_seen: datetime


class IssueGroupings(BaseModel):
    """Why events are this issue, the grouping seen last first."""

    groupings: list[IssueGrouping]


@bp.post("/api/issues/merge")
@access.writes
@describe(
    Operation(
        "Merge issues into the oldest of them",
        {200: Merged},
        body=MergeBody,
        problems=(409, 413, 415, 422, 503),
        tag="issues",
    )
)
def merge_issues() -> ResponseReturnValue:
    """Merge issues of one project; an id of one that went stays good for the one that stays.

    :raise 409: the last merge or unmerge of one of them is not finished; try again in a minute.
    """
    ids, actor = read_body(MergeBody).ids, access.caller()
    store = current_store()
    with store.write() as conn:
        stays = merging.merge(conn, ids, actor)
    merging.follow_up(store)
    return answer(Merged(id=stays))


@bp.post("/api/issues/<int:issue_id>/unmerge")
@access.writes
@describe(
    Operation(
        "Take groupings out of an issue, each into a new one",
        {200: UnmergedIssues},
        body=UnmergeBody,
        problems=(404, 409, 413, 415, 422, 503),
        tag="issues",
    )
)
def unmerge_issue(issue_id: int) -> ResponseReturnValue:
    """Have groupings of an issue make issues of their own; their stored events follow.

    What events that are no longer stored had added to the counts stays where it was.

    :raise 404: no issue has this id. :raise 409: its last merge or unmerge is not finished.
    """
    hashes, actor = read_body(UnmergeBody).hashes, access.caller()
    store = current_store()
    with store.write() as conn:
        or_404(find_issue(conn, issue_id), UNKNOWN)
        made = merging.unmerge(conn, issue_id, hashes, actor)
    merging.follow_up(store)
    return answer(UnmergedIssues(ids=made))


@bp.get("/api/issues/<int:issue_id>/groupings")
@access.reads
@describe(
    Operation("Why events are this issue", {200: IssueGroupings}, problems=(404, 503), tag="issues")
)
def get_issue_groupings(issue_id: int) -> ResponseReturnValue:
    """Return an issue's groupings.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        rows = groupings_of(conn, found_issue(conn, issue_id).id)
    names = IssueGrouping.model_fields
    found = [IssueGrouping(**{name: getattr(row, name) for name in names}) for row in rows]
    return answer(IssueGroupings(groupings=found))
