"""Changes of an issue that programs make: for the API and the tools of MCP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NoReturn, Self

from pydantic import Field, model_validator
from sqlalchemy import Connection, Row

from app.inputs import Body, PatchBody, unchanged
from app.inputs.links import Link
from app.insights.releases import list_releases
from app.issues import triage
from app.issues.filter import Status
from app.issues.fixes import forget_fix, remember_fix
from app.issues.ignore_until import IgnoreUntil
from app.issues.queries import find_issue
from app.protocol.event import clean_text
from app.stats.users import MAX_USERS
from app.store import utc_now
from app.web import access
from app.web.current import current_accounts
from app.web.errors import FieldErrors

# The fields that change something by themselves.
_CHANGES = {"status", "assigned_to", "tracker_url", "comment", "remember_fix"}
Text = Annotated[str, Field(min_length=1, max_length=triage.MAX_NOTE, pattern=r"\S")]
Assignee = Annotated[
    Annotated[str, Field(min_length=1, max_length=100)] | None,
    Field(description="The name of a user; null for nobody."),
]


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
    assigned_to: Assignee = None
    tracker_url: Link | None = Field(
        None, description="The issue of a tracker, with https; null for none."
    )
    comment: Text = unchanged()
    remember_fix: Annotated[
        bool,
        Field(
            description="True: `comment` says how the issue was fixed, and similar issues and"
            " notifications about new ones show it. False: forget the remembered fix."
        ),
    ] = unchanged()

    @model_validator(mode="after")
    def _has_details_of_its_status(self) -> Self:
        if self.details and self.status != "resolved":
            raise ValueError("`statusDetails` are those of the status `resolved`")
        if self.resolved_in and (self.details or self.status != "resolved"):
            raise ValueError("`resolved_in` is that of the status `resolved`, alone")
        if self.ignore_until and self.status != "ignored":
            raise ValueError("`ignore_until` is that of the status `ignored`")
        if self.remember_fix and (not self.comment or self.status != "resolved"):
            raise ValueError("`remember_fix` is that of the status `resolved` with a `comment`")
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
        if not _CHANGES & self.model_fields_set:
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
        if self.comment is not None:
            changed.update(comment_on(conn, ids, self.comment, remember=bool(self.remember_fix)))
        if self.remember_fix is False:
            changed.update(forget_fix(conn, ids))
        return sorted(changed)


class CommentBody(Body):
    """A new comment."""

    text: Text
    remember_fix: Annotated[
        bool,
        Field(
            description="Whether it says how the issue was fixed, to be shown elsewhere. Only for"
            " an issue that is resolved."
        ),
    ] = False


def comment_on(
    conn: Connection, issue_ids: Sequence[int], text: str, *, remember: bool
) -> list[int]:
    """Comment on those of the issues that exist, and return their ids.

    :param remember: whether the comment says how they were fixed.
    """
    comments = triage.comment_all(conn, issue_ids, text, access.caller())
    if remember:
        remember_fix(conn, list(comments.values()))
    return list(comments)


def comment_on_one(conn: Connection, issue_id: int, body: CommentBody) -> int | None:
    """Comment on an issue, and return the id of the comment; ``None`` if there is no such issue.

    :raise FieldErrors: the issue has no fix to be remembered, since it is not resolved.
    """
    comment_id = triage.comment(conn, issue_id, body.text, access.caller())
    if comment_id and body.remember_fix and not remember_fix(conn, [comment_id]):
        _refuse("remember_fix", "the issue is not resolved: there is no fix to be remembered")
    return comment_id


def change_issue(conn: Connection, issue: Row[Any], body: IssueBody) -> Row[Any]:
    """Change an issue, and return its row; nothing changes if it is like that already.

    :param body: :meth:`IssueBody.check` has been called.
    :raise FieldErrors: its project lacks the release, or it has too many users for the condition.
    """
    _check_release(conn, issue.project_id, body)
    _check_users(issue, body.ignore_until)
    changed = body.apply(conn, [issue.id])
    return (find_issue(conn, issue.id) if changed else None) or issue


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
