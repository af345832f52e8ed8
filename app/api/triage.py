"""Triage: resolve, ignore, reopen, assign, delete and comment on one issue or many."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import Field, model_validator
from sqlalchemy import Connection

from app.api.issues import UNKNOWN, Issue, Transition, found_issue, shapes
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.inputs import Body, RowNumber
from app.intake.retention import purge_deleted
from app.issues import triage
from app.issues.queries import MAX_ROW_NUMBER, find_transition
from app.search.issue_search import IssueSearch
from app.web import access
from app.web.current import current_store
from app.web.errors import or_404
from app.web.issue_changes import CommentBody, IssueBody, change_issue, comment_on_one

log = logging.getLogger("app.tracker")

# How many batches a request deletes itself; the background task deletes the rest.
BATCHES_AT_ONCE = 5

Change = Callable[[Connection, list[int]], list[int]]

route = Routes("issues")


class Changed(ApiModel):
    """The ids of the issues that changed; issues that needed no change are left out."""

    changed: list[int]


class Where(IssueSearch, Body):
    """A filter of issues, with the fields of the filter of the list."""


class Selection(Body):
    """The issues to change, by their ids or by a filter."""

    ids: Annotated[list[RowNumber], Field(min_length=1, max_length=1000)] | None = None
    where: Where | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Selection:
        if (self.ids is None) == (self.where is None):
            raise ValueError("either `ids` or `where` is expected")
        return self


class BulkIssueBody(Selection, IssueBody):
    """The changes of many issues."""


@route("PATCH /api/issues/<int:issue_id>", access.writes)
def patch_issue(issue_id: int, body: IssueBody) -> Issue:
    """Resolve, ignore, reopen or assign an issue.

    Nothing changes if the issue is like that already.

    :raise 404: no issue has this id.
    """
    body.check()
    with current_store().write() as conn:
        row = change_issue(conn, found_issue(conn, issue_id), body)
        return shapes(conn, [row])[0]


@route("DELETE /api/issues/<int:issue_id>", access.writes)
def delete_issue(issue_id: int) -> None:
    """Delete an issue and its events.

    Envelopes that are not delivered yet are still delivered.

    :raise 404: no issue has this id.
    """
    gone = []
    if issue_id < MAX_ROW_NUMBER:
        with current_store().write() as conn:
            gone = triage.delete(conn, [issue_id])
    or_404(gone or None, UNKNOWN)
    _purge(gone)


@route("PATCH /api/issues", access.writes)
def patch_issues(body: BulkIssueBody) -> Changed:
    """Resolve, ignore, reopen or assign many issues.

    The answer contains the ids of the issues that changed. If the project of an issue does not have
    the release of `resolved_in`, or if an issue has too many users for `ignore_until.users`, its
    status stays as it is.
    """
    body.check()
    return Changed(changed=_change(body, body.apply))


@route("DELETE /api/issues", access.writes)
def delete_issues(body: Selection) -> Changed:
    """Delete many issues and their events.

    The answer contains the ids of the issues that existed.
    """
    gone = _change(body, triage.delete)
    _purge(gone)
    return Changed(changed=gone)


@route("POST /api/issues/<int:issue_id>/comments", access.writes, status=201)
def post_comment(issue_id: int, body: CommentBody) -> Transition:
    """Comment on an issue.

    :raise 404: no issue has this id. :raise FieldErrors: a fix of an issue that is not resolved.
    """
    with current_store().write() as conn:
        comment_id = or_404(comment_on_one(conn, issue_id, body), UNKNOWN)
        row = find_transition(conn, comment_id)
    return Transition.model_validate(row)


def _change(selection: Selection, change: Change) -> list[int]:
    changed: list[int] = []
    for ids in _batches(selection):
        with current_store().write() as conn:
            changed += change(conn, ids)
    return changed


def _batches(selection: Selection) -> Iterable[list[int]]:
    if selection.ids is not None:
        return [selection.ids]
    store = current_store()
    with store.read() as conn:
        highest = triage.highest_id(conn)
    where = (selection.where or Where()).seen_by(access.username())
    return triage.in_batches(store, where, highest)


def _purge(gone: list[int]) -> None:
    # The history of the issues is deleted with them, so only the log records who deleted them.
    log.info("%s issues deleted by %s: %s …", len(gone), access.caller(), gone[:20])
    purge_deleted(current_store(), at_most=BATCHES_AT_ONCE)
