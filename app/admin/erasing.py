"""Erase a person: count what there is, then erase it; the runs so far, each with its report."""

from __future__ import annotations

import hmac
from typing import Any

from flask import abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy import Row

from app.admin import bp
from app.admin.filter_bar import row_number
from app.erasing import jobs
from app.erasing.identifier import MAX_LENGTH, Identifier, Kind, WrongIdentifier
from app.erasing.records import DONE, RUNNING, ErasingAlready, find_erasure, list_erasures, state_of
from app.erasing.report import LABELS
from app.erasing.run import NOT_TOUCHED
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 50
KINDS = {Kind.EMAIL: "e-mail address", Kind.USER_ID: "user id", Kind.IP: "IP address"}
ANOTHER = "This is not what was counted. Nothing was erased."


@bp.route("/erasures", methods=["GET", "POST"])
@access.admin
def list_of_erasures() -> ResponseReturnValue:
    """Show the runs and a form; on POST, begin to count and lead to that run (303)."""
    form, error = FlaskForm(), None
    kind = request.form.get("kind", Kind.EMAIL)
    if form.validate_on_submit():
        try:
            return _begin(Identifier.of(kind, request.form.get("value", "")), is_dry=True)
        except (ErasingAlready, WrongIdentifier) as wrong:
            error = str(wrong)
        except ValueError:
            abort(400, description="the kind is email, user_id or ip")
    before = row_number("before")
    with current_store().read() as conn:
        rows = list_erasures(conn, before=before, limit=PAGE_SIZE + 1)
        states = {row.id: state_of(conn, row) for row in rows}
    page = rows[:PAGE_SIZE]
    return render_template(
        "erasures.html",
        rows=page,
        states=states,
        kinds=KINDS,
        kind=kind,
        error=error,
        max_length=MAX_LENGTH,
        is_first=before is None,
        older=page[-1].id if len(rows) > PAGE_SIZE else None,
    )


@bp.route("/erasures/<int:run_id>", methods=["GET", "POST"])
@access.admin
def show_erasure(run_id: int) -> ResponseReturnValue:
    """Show a run; on POST, erase what it counted if the identifier is typed again (303).

    :raise 404: there is no such run.
    """
    with current_store().read() as conn:
        row = find_erasure(conn, run_id)
        if row is None:
            abort(404, description="there is no such run")
        state = state_of(conn, row)
    error = None
    if FlaskForm().validate_on_submit() and row.is_dry:
        error = ANOTHER
        if (identifier := _same(row, request.form.get("value", ""))) is not None:
            try:
                return _begin(identifier, is_dry=False)
            except ErasingAlready as wrong:
                error = str(wrong)
    is_part = request.headers.get("X-Fragment") is not None
    return render_template(
        "_erasure.html" if is_part else "erasure.html",
        row=row,
        state=state,
        is_running=state == RUNNING,
        found=_found(row) if state == DONE else [],
        kind=KINDS[Kind(row.kind)],
        labels=LABELS,
        error=error,
        max_length=MAX_LENGTH,
        not_touched=NOT_TOUCHED,
    )


def _begin(identifier: Identifier, *, is_dry: bool) -> ResponseReturnValue:
    run_id = jobs.start(identifier, str(current_app.secret_key), is_dry=is_dry)
    if not is_dry:
        flash("Erasing has begun. You may leave this page.", "note")
    return redirect(url_for("admin.show_erasure", run_id=run_id), 303)


def _same(row: Row[Any], text: str) -> Identifier | None:
    """Return the identifier in a text if it is the one of a run."""
    try:
        identifier = Identifier.of(row.kind, text)
    except WrongIdentifier:
        return None
    digest = identifier.digest(str(current_app.secret_key))
    return identifier if hmac.compare_digest(digest, row.identifier_hash) else None


def _found(row: Row[Any]) -> list[tuple[str, int]]:
    counts = (row.report or {}).get("counts", {})
    return [(label, counts[name]) for name, label in LABELS.items() if counts.get(name)]
