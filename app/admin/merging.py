"""The forms that merge issues, and that unmerge groupings of an issue."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.admin import bp
from app.admin.filters import plural
from app.admin.issue import UNKNOWN
from app.issues import merging
from app.issues.queries import find_issue
from app.web import access
from app.web.current import current_store
from app.web.errors import or_404

MAX_HASHES = 1000


def merge_chosen(ids: list[int]) -> int | None:
    """Merge issues and return the id of the issue that stays.

    Return ``None`` and flash the reason if they cannot be merged.
    """
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
@access.decides
def unmerge_issue(issue_id: int) -> ResponseReturnValue:
    """Unmerge the chosen groupings of an issue, each into a new issue, and redirect (303).

    :raise 404: no issue has this id.
    """
    store, hashes = current_store(), request.form.getlist("hashes")[:MAX_HASHES]
    try:
        with store.write() as conn:
            or_404(find_issue(conn, issue_id), UNKNOWN)
            made = merging.unmerge(conn, issue_id, hashes, current_user.username)
    except merging.CannotMerge as error:
        flash(f"Nothing was unmerged: {error}.", "warning")
        made = []
    if made:
        merging.follow_up(store)
        flash(f"{plural(len(made), 'grouping')} unmerged.", "note")
    issue = made[0] if len(made) == 1 else issue_id
    return redirect(url_for("admin.show_issue", issue_id=issue), 303)
