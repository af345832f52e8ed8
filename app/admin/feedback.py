"""Feedback of users about errors: newest first, filtered by the parameters of the address."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from app.admin import bp
from app.admin.event_view import attachments_shown
from app.admin.filter_bar import read_choice, row_number
from app.admin.lookups import project_names, project_options
from app.issues.feedback import (
    FeedbackFilter,
    files_of,
    find_file,
    page_of_feedback,
    set_state,
)
from app.issues.tables import FeedbackState
from app.store.paging import SCAN_ROWS
from app.web import access
from app.web.current import current_store
from app.web.downloads import download
from app.web.errors import or_404

PAGE_SIZE = 50
# How many the page of an issue or an event shows; a link leads to the rest.
SHOWN_BESIDE = 3
STATES = {str(state): state for state in FeedbackState}
# The buttons of a row, by its state: the new state and its words.
BUTTONS = {
    "open": [("done", "Done"), ("spam", "Spam")],
    "done": [("open", "Open again")],
    "spam": [("open", "No spam")],
}


@bp.get("/feedback")
@access.views
def list_of_feedback() -> ResponseReturnValue:
    """Show a page of feedback."""
    choice, before = read_choice(FeedbackFilter, request.args), row_number("before")
    with current_store().read() as conn:
        page = page_of_feedback(conn, choice.form, before=before, limit=PAGE_SIZE)
        files = files_of(conn, page.rows)
        names = project_names(conn)
    return render_template(
        "feedback.html",
        rows=page.rows,
        files={
            row_id: attachments_shown(row.described() for row in found)
            for row_id, found in files.items()
        },
        choice=choice,
        projects=names,
        options={
            "project": project_options(names),
            "state": {name: name.capitalize() for name in STATES},
        },
        buttons=BUTTONS,
        form=FlaskForm(),
        is_first=before is None,
        older=page.next[-1] if page.next else None,
        is_cut=page.is_cut,
        looked_at=SCAN_ROWS,
    )


@bp.post("/feedback/<int:feedback_id>/state")
@access.decides
def change_feedback(feedback_id: int) -> ResponseReturnValue:
    """Set the state of feedback (303); the address keeps the filter of the list.

    :raise 404: there is no such feedback, or no such state.
    """
    form = FlaskForm()
    state = or_404(STATES.get(request.form.get("state", "")), "there is no such state")
    if form.validate():
        with current_store().write() as conn:
            or_404(set_state(conn, feedback_id, state) or None, "no feedback has this id")
    kept: dict[str, Any] = request.args.to_dict()
    return redirect(
        url_for("admin.list_of_feedback", **kept, _anchor=f"feedback-{feedback_id}"), 303
    )


@bp.get("/feedback/<int:feedback_id>/attachments/<int:number>")
@access.views
def download_feedback_file(feedback_id: int, number: int) -> ResponseReturnValue:
    """Return a file that was sent with feedback, as a download.

    :param number: its index among the files of the feedback, from 0.
    :raise 404: the feedback does not exist, or has no file with this number.
    """
    with current_store().read() as conn:
        found = or_404(find_file(conn, feedback_id, number), "the feedback has no such file")
    return download(found)
