"""Triage on the page of an issue; that of many issues is in :mod:`app.admin.bulk`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection

from app.admin import bp
from app.admin.ignore_choices import CHOICES, read_until
from app.admin.issue import UNKNOWN
from app.inputs.links import Link
from app.issues import triage
from app.issues.fixes import forget_fix, remember_fix
from app.issues.ignore_until import IgnoreUntil, words_of
from app.issues.queries import find_issue
from app.stats.users import MAX_USERS
from app.store import utc_now
from app.web import access
from app.web.current import current_accounts, current_store
from app.web.errors import or_404


class Action(NamedTuple):
    """The action of a button: the new status, and the words that report it.

    :param verb: the word that begins the report about many issues; ``end`` comes after them.
    :param until: returns what ends the ignoring, from the fields of the form and the current time.
    """

    status: str
    done: str
    verb: str
    end: str = ""
    fix: triage.Fix = triage.PLAINLY
    until: Callable[[datetime], IgnoreUntil] | None = None


ACTIONS = {
    "resolve": Action("resolved", "resolved", "Resolved"),
    "resolve_next": Action(
        "resolved",
        "resolved in the next release",
        "Resolved",
        " in the next release",
        triage.Fix(in_next=True),
    ),
    "ignore": Action("ignored", "ignored", "Ignored"),
    "reopen": Action("unresolved", "open again", "Reopened"),
    **{
        f"ignore_{name}": Action("ignored", "ignored", "Ignored", until=until)
        for name, until in CHOICES.items()
    },
}
_LINK: TypeAdapter[str | None] = TypeAdapter(Link | None)
_TOO_MANY_USERS = (
    f"Users are counted up to {MAX_USERS:,}, and the issue has too many for that."
    " It was not ignored."
)


@bp.post("/issues/<int:issue_id>/status")
@access.decides
def set_status(issue_id: int) -> ResponseReturnValue:
    """Resolve, ignore or reopen an issue, and redirect to its page (303).

    A comment of the form is kept. If the form says so, and the issue is resolved, it is remembered
    as the fix: the button that ignores the issue is in the same form.

    :raise 400: there is no such action. :raise 404: no issue has this id.
    """
    action = ACTIONS.get(request.form.get("action", "")) or abort(400)
    with current_store().write() as conn:
        issue = or_404(find_issue(conn, issue_id), UNKNOWN)
        until = until_of(action)
        if triage.has_too_many_users(issue, until):
            flash(_TOO_MANY_USERS, "warning")
        else:
            set_statuses(conn, [issue.id], action, until)
            is_remembered = _comment_on(conn, issue.id, may_be_fix=action.status == "resolved")
            rest = ", and its fix is remembered" if is_remembered else ""
            flash(f"The issue is {_done(action, until)}{rest}.", "note")
    return redirect(url_for("admin.show_issue", issue_id=issue_id), 303)


@bp.post("/issues/<int:issue_id>/assigned")
@access.decides
def assign_issue(issue_id: int) -> ResponseReturnValue:
    """Assign an issue to a user or to nobody, and redirect to its page (303).

    :raise 400: there is no such user. :raise 404: no issue has this id.
    """
    name = request.form.get("assigned_to") or None
    if name is not None and not current_accounts().is_user(name):
        abort(400, description="there is no such user")
    with current_store().write() as conn:
        issue = or_404(find_issue(conn, issue_id), UNKNOWN)
        triage.assign(conn, [issue.id], name, current_user.username)
    flash(f"The issue is assigned to {name or 'nobody'}.", "note")
    return redirect(url_for("admin.show_issue", issue_id=issue_id), 303)


@bp.post("/issues/<int:issue_id>/link")
@access.decides
def link_issue(issue_id: int) -> ResponseReturnValue:
    """Link an issue to an issue of a tracker, or to none, and redirect to its page (303).

    :raise 404: no issue has this id.
    """
    url = request.form.get("tracker_url", "").strip() or None
    try:
        checked = _LINK.validate_python(url)
    except ValidationError:
        flash("An address that begins with https:// is expected. Nothing was linked.", "warning")
        return redirect(url_for("admin.show_issue", issue_id=issue_id), 303)
    with current_store().write() as conn:
        issue = or_404(find_issue(conn, issue_id), UNKNOWN)
        triage.link(conn, [issue.id], checked, current_user.username)
    flash("The issue is linked." if checked else "The link was removed.", "note")
    return redirect(url_for("admin.show_issue", issue_id=issue_id), 303)


def until_of(action: Action) -> IgnoreUntil | None:
    """Return what ends the ignoring of an action, from the fields of the form."""
    return read_until(action.until, utc_now()) if action.until else None


def set_statuses(
    conn: Connection, ids: list[int], action: Action, until: IgnoreUntil | None
) -> list[int]:
    """Change the status of issues, and return the ids of those that changed."""
    actor = current_user.username
    return triage.set_status(conn, ids, action.status, actor, fix=action.fix, until=until)


def _done(action: Action, until: IgnoreUntil | None) -> str:
    return f"{action.done} {words_of(until, utc_now())}" if until else action.done


@bp.post("/issues/<int:issue_id>/comments")
@access.decides
def comment(issue_id: int) -> ResponseReturnValue:
    """Add a comment, and redirect to the issue (303).

    :raise 404: no issue has this id.
    """
    with current_store().write() as conn:
        issue = or_404(find_issue(conn, issue_id), UNKNOWN)
        _comment_on(conn, issue.id)
    return redirect(url_for("admin.show_issue", issue_id=issue_id, _anchor="comments"), 303)


@bp.post("/issues/<int:issue_id>/fix")
@access.decides
def change_fix(issue_id: int) -> ResponseReturnValue:
    """Remember a comment as the fix of its issue, or without one forget the fix; redirect (303).

    :raise 404: no issue has this id, or it has no such comment.
    """
    text = request.form.get("comment", "")
    with current_store().write() as conn:
        issue = or_404(find_issue(conn, issue_id), UNKNOWN)
        if text and issue.status != "resolved":
            flash("The issue is not resolved: there is no fix to be remembered.", "warning")
            return redirect(url_for("admin.show_issue", issue_id=issue_id, _anchor="comments"), 303)
        if text:
            number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
            or_404(remember_fix(conn, [number], of_issue=issue.id) or None, "no such comment")
        else:
            forget_fix(conn, [issue.id])
    flash("The fix is remembered." if text else "The fix is forgotten.", "note")
    return redirect(url_for("admin.show_issue", issue_id=issue_id, _anchor="comments"), 303)


def _comment_on(conn: Connection, issue_id: int, *, may_be_fix: bool = True) -> bool:
    """Keep the comment of the form, if there is one, and return whether it is remembered."""
    is_fix = may_be_fix and "remember" in request.form
    # Browsers send line breaks as CR LF.
    text = request.form.get("text", "").strip().replace("\r\n", "\n")
    if len(text) > triage.MAX_NOTE:
        flash(f"A comment has at most {triage.MAX_NOTE:,} characters; it was not kept.", "warning")
    elif text and (comment_id := triage.comment(conn, issue_id, text, current_user.username)):
        return is_fix and bool(remember_fix(conn, [comment_id]))
    return False
