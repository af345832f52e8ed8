"""Feedback: what people said of errors, newest first, narrowed by what stands in the address."""

from __future__ import annotations

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue

from app.admin import bp
from app.admin.choices import Choice
from app.admin.event_view import attachments_shown
from app.admin.events import row_number
from app.admin.lookups import project_names
from app.issues.feedback import FeedbackFilter, files_of, find_file, page_of_feedback
from app.protocol.event import clean_text
from app.store.paging import SCAN_ROWS
from app.web import access
from app.web.current import current_store
from app.web.downloads import download

PAGE_SIZE = 50
MAX_TEXT = 500
# On the page of an issue or an event; a link leads to the rest.
SHOWN_BESIDE = 3


@bp.get("/feedback")
@access.admin
def list_of_feedback() -> ResponseReturnValue:
    """Show a page of feedback."""
    choice, before = read_choice(), row_number("before")
    with current_store().read() as conn:
        page = page_of_feedback(conn, filter_of(choice), before=before, limit=PAGE_SIZE)
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
        is_first=before is None,
        older=page.next[-1] if page.next else None,
        is_cut=page.is_cut,
        looked_at=SCAN_ROWS,
    )


@bp.get("/feedback/<int:feedback_id>/attachments/<int:number>")
@access.admin
def download_feedback_file(feedback_id: int, number: int) -> ResponseReturnValue:
    """Return a file that came with feedback, to be saved.

    :param number: its place among them, from 0.
    :raise 404: there is no such feedback, or not so many files.
    """
    with current_store().read() as conn:
        found = find_file(conn, feedback_id, number) if feedback_id < 2**63 else None
    if found is None:
        abort(404, description="the feedback has no such file")
    return download(found)


def read_choice() -> Choice:
    """Read the filter out of the address; what is wrong is left out and told."""
    choice = Choice()
    if text := clean_text(request.args.get("q", "").strip())[:MAX_TEXT]:
        choice.values["q"] = text
    for name in ("project", "issue"):
        given = request.args.get(name, "").strip()
        if given and row_number(name):
            choice.values[name] = given
        elif given:
            choice.problems.append(f"There is no {name} “{clean_text(given[:40])}”.")
    return choice


def filter_of(choice: Choice) -> FeedbackFilter:
    """Return what a choice means to the store."""
    return FeedbackFilter(
        project_id=int(choice.values["project"]) if "project" in choice.values else None,
        issue_id=int(choice.values["issue"]) if "issue" in choice.values else None,
        text=choice.values.get("q"),
    )
