"""Tools that change something; they need a token with the scope ``mcp:write``."""

from __future__ import annotations

from typing import Any

from app.delivery import actions
from app.inputs import Body
from app.issues.ignore_until import IgnoreUntil
from app.mcp.answers import Answer
from app.mcp.kinds.arguments import EnvelopeId, IssueId
from app.mcp.reach import Reach
from app.mcp.tools import note_change, tool
from app.web import access
from app.web.current import current_destinations, current_store
from app.web.issue_changes import (
    Assignee,
    CommentBody,
    IssueBody,
    ResolvedIn,
    change_issue,
    comment_on_one,
)


class ResolveArguments(Body):
    """Which issue to resolve."""

    issue_id: IssueId
    resolved_in: ResolvedIn | None = None


class IgnoreArguments(Body):
    """Which issue to ignore, and until when."""

    issue_id: IssueId
    ignore_until: IgnoreUntil | None = None


class AssignArguments(Body):
    """Which issue to assign, and to whom."""

    issue_id: IssueId
    assigned_to: Assignee


class CommentArguments(CommentBody):
    """Which issue to comment on."""

    issue_id: IssueId


class ReplayArguments(Body):
    """Which delivery to send again."""

    envelope_id: EnvelopeId
    force: bool = False


@tool("resolve_issue", "Resolve an issue", changes=True)
def resolve_issue(given: ResolveArguments, reach: Reach, answer: Answer) -> None:
    """Resolve an issue: a later event brings it back. With `resolved_in` only an event of that
    release or a newer one does.
    """
    _change(reach, "resolve_issue", given, status="resolved", resolved_in=given.resolved_in)
    answer.say(f"Issue #{given.issue_id} is resolved.")


@tool("ignore_issue", "Ignore an issue", changes=True)
def ignore_issue(given: IgnoreArguments, reach: Reach, answer: Answer) -> None:
    """Ignore an issue: it is still counted, and notifies nobody until the condition of
    `ignore_until` holds, or for good without one.
    """
    _change(reach, "ignore_issue", given, status="ignored", ignore_until=given.ignore_until)
    answer.say(f"Issue #{given.issue_id} is ignored.")


@tool("assign_issue", "Assign an issue", changes=True)
def assign_issue(given: AssignArguments, reach: Reach, answer: Answer) -> None:
    """Assign an issue to a user of this service, or with null to nobody."""
    _change(reach, "assign_issue", given, assigned_to=given.assigned_to)
    answer.say(f"Issue #{given.issue_id} is assigned.")


@tool("comment_on_issue", "Comment on an issue", changes=True)
def comment_on_issue(given: CommentArguments, reach: Reach, answer: Answer) -> None:
    """Write a comment into the history of an issue, in the name of the token."""
    with current_store().write() as conn:
        issue = reach.issue(conn, given.issue_id)
        comment_on_one(conn, issue.id, given)
        note_change(conn, "comment_on_issue", given)
    answer.say(f"The comment on issue #{given.issue_id} is stored.")


@tool("replay_delivery", "Send a delivery again", changes=True)
def replay_delivery(given: ReplayArguments, reach: Reach, answer: Answer) -> None:
    """Send an envelope to Sentry again, or sooner if it waits. With `force` also one that Sentry
    has accepted.
    """
    store = current_store()
    with store.read() as conn:
        reach.delivery(conn, given.envelope_id)
    actions.replay_one(
        store, current_destinations(), given.envelope_id, access.caller(), force=given.force
    )
    with store.write() as conn:
        note_change(conn, "replay_delivery", given)
    answer.say(f"Delivery {given.envelope_id} is sent again.")


def _change(reach: Reach, name: str, given: Any, **fields: Any) -> None:
    body = IssueBody(**fields)
    body.check()
    with current_store().write() as conn:
        change_issue(conn, reach.issue(conn, given.issue_id), body)
        note_change(conn, name, given)
