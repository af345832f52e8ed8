"""Triage: resolve, ignore, reopen, assign, delete and comment on one issue or many."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Annotated, Any, NoReturn, Self

from pydantic import Field, model_validator
from sqlalchemy import Connection, Row

from app.api.issues import UNKNOWN, Issue, Transition, found_issue, shapes
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.inputs import Body, PatchBody, RowNumber, unchanged
from app.inputs.links import Link
from app.insights.releases import list_releases
from app.intake.retention import purge_deleted
from app.issues import triage
from app.issues.filter import Status
from app.issues.ignore_until import IgnoreUntil
from app.issues.queries import MAX_ROW_NUMBER, find_transition
from app.protocol.event import clean_text
from app.search.issue_search import IssueSearch
from app.stats.users import MAX_USERS
from app.store import utc_now
from app.web import access
from app.web.current import current_accounts, current_store
from app.web.errors import FieldErrors, or_404

log = logging.getLogger("app.tracker")

# How many batches a request deletes itself; the background task deletes the rest.
BATCHES_AT_ONCE = 5

Change = Callable[[Connection, list[int]], list[int]]

route = Routes("issues")


class Changed(ApiModel):
    """The ids of the issues that changed; issues that needed no change are left out."""

    changed: list[int]


class ResolvedIn(Body):
    """The release in which an issue is resolved: one of the two fields."""

    next_release: Annotated[bool, Field(description="In the one that appears next.")] = False
    release: Annotated[
        str | None, Field(min_length=1, max_length=250, description="In this one.")
    ] = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> ResolvedIn:
        if self.next_release == (self.release is not None):
            raise ValueError("either `next_release` or `release` is expected")
        return self


class StatusDetails(Body):
    """The older form of `resolved_in`; at most one of the two fields."""

    in_next_release: Annotated[
        bool, Field(alias="inNextRelease", description="In the one that appears next.")
    ] = False
    in_release: Annotated[
        str | None,
        Field(alias="inRelease", min_length=1, max_length=250, description="In this one."),
    ] = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> StatusDetails:
        if self.in_next_release and self.in_release is not None:
            raise ValueError("either `inNextRelease` or `inRelease` is expected")
        return self


class IssueBody(PatchBody):
    """The changes of an issue: its status, its user, the issue of a tracker, or several of them.

    An issue that is resolved in a release comes back only with an event of that release or of a
    newer release. Two versions of one package are compared by version; other releases are compared
    by the time at which they became known. Without `resolved_in`, any event that happened after
    the issue was resolved brings it back. An ignored issue is unresolved again when the condition
    of `ignore_until` holds; without a condition it stays ignored.
    """

    status: Status = unchanged()
    resolved_in: ResolvedIn | None = None
    details: Annotated[
        StatusDetails | None,
        Field(alias="statusDetails", description="Use `resolved_in`."),
    ] = None
    ignore_until: IgnoreUntil | None = None
    assigned_to: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="The name of a user; null for nobody."
    )
    tracker_url: Link | None = Field(
        None, description="The issue of a tracker, with https; null for none."
    )

    @model_validator(mode="after")
    def _has_details_of_its_status(self) -> Self:
        if self.details and self.status != "resolved":
            raise ValueError("`statusDetails` are those of the status `resolved`")
        if self.resolved_in and (self.details or self.status != "resolved"):
            raise ValueError("`resolved_in` is that of the status `resolved`, alone")
        if self.ignore_until and self.status != "ignored":
            raise ValueError("`ignore_until` is that of the status `ignored`")
        return self

    @property
    def fix(self) -> triage.Fix:
        """The release in which the issue is resolved."""
        if self.resolved_in:
            is_next, version = self.resolved_in.next_release, self.resolved_in.release
        else:
            details = self.details or StatusDetails()
            is_next, version = details.in_next_release, details.in_release
        return triage.Fix(is_next, version and clean_text(version))

    def check(self) -> None:
        """Check what no field shows by itself.

        :raise FieldErrors: nothing is to change, there is no such user, or the time is over.
        """
        if not {"status", "assigned_to", "tracker_url"} & self.model_fields_set:
            _refuse("status", "`status`, `assigned_to` or `tracker_url` is expected")
        if self.assigned_to is not None and not current_accounts().is_user(self.assigned_to):
            _refuse("assigned_to", "the name of a user is expected")
        at = self.ignore_until and self.ignore_until.at
        if at and at <= utc_now():
            _refuse("ignore_until.at", "a time in the future is expected")

    def apply(self, conn: Connection, ids: list[int]) -> list[int]:
        """Change issues, and return the sorted ids of those that changed."""
        actor, changed = access.caller(), set[int]()
        if "status" in self.model_fields_set:
            changed.update(
                triage.set_status(
                    conn, ids, self.status, actor, fix=self.fix, until=self.ignore_until
                )
            )
        if "assigned_to" in self.model_fields_set:
            changed.update(triage.assign(conn, ids, self.assigned_to, actor))
        if "tracker_url" in self.model_fields_set:
            changed.update(triage.link(conn, ids, self.tracker_url, actor))
        return sorted(changed)


class CommentBody(Body):
    """A new comment."""

    text: Annotated[str, Field(min_length=1, max_length=triage.MAX_NOTE, pattern=r"\S")]


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
        row = found_issue(conn, issue_id)
        _check_release(conn, row.project_id, body)
        _check_users(row, body.ignore_until)
        if body.apply(conn, [row.id]):
            row = found_issue(conn, issue_id)
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

    :raise 404: no issue has this id.
    """
    actor = access.caller()
    with current_store().write() as conn:
        comment_id = or_404(triage.comment(conn, issue_id, body.text, actor), UNKNOWN)
        row = find_transition(conn, comment_id)
    return Transition.model_validate(row)


def _check_release(conn: Connection, project_id: int, body: IssueBody) -> None:
    version = body.fix.version
    if version and not list_releases(conn, project_id, version=version, limit=1):
        message = "a release of the issue's project is expected: it was neither seen nor announced"
        _refuse("resolved_in.release" if body.resolved_in else "statusDetails.inRelease", message)


def _check_users(issue: Row[Any], until: IgnoreUntil | None) -> None:
    if triage.has_too_many_users(issue, until):
        message = (
            f"users are counted up to {MAX_USERS:,}, and the issue has {issue.users:,} already"
        )
        _refuse("ignore_until.users", message)


def _refuse(field: str, message: str) -> NoReturn:
    raise FieldErrors([{"field": field, "message": message}])


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
