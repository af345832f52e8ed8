"""The forms that merge issues and take groupings out of one."""

from __future__ import annotations

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.admin import bp
from app.admin.filters import plural
from app.admin.issue import UNKNOWN
from app.issues import merging
from app.issues.queries import find_issue
from app.web import access
from app.web.current import current_store

MAX_HASHES = 1000


def merge_chosen(ids: list[int]) -> int | None:
    """Merge issues and return the one that stays; ``None``, and a message, where they cannot be."""
    store = current_store()
    try:
        with store.write() as conn:
            stays = merging.merge(conn, ids, current_user.username)
    except merging.CannotMerge as error:
        flash(f"Nothing was merged: {error}.", "warning")
        return None
    merging.follow_up(store)
    flash(f"{plural(len(set(ids)), 'issue')} are one now.", "note")
    return stays


@bp.post("/issues/<int:issue_id>/unmerge")
@access.admin
def unmerge_issue(issue_id: int) -> ResponseReturnValue:
    """Take the chosen groupings out of an issue and return to its page.

    :raise 404: no issue has this id.
    """
    store, hashes = current_store(), request.form.getlist("hashes")[:MAX_HASHES]
    try:
        with store.write() as conn:
            if find_issue(conn, issue_id) is None:
                abort(404, description=UNKNOWN)
            made = merging.unmerge(conn, issue_id, hashes, current_user.username)
    except merging.CannotMerge as error:
        flash(f"Nothing was unmerged: {error}.", "warning")
        made = []
    if made:
        merging.follow_up(store)
        flash(f"{plural(len(made), 'grouping')} unmerged.", "note")
    issue = made[0] if len(made) == 1 else issue_id
    return redirect(url_for("admin.show_issue", issue_id=issue), 303)
