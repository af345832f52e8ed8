"""Triage from the list of issues: of the chosen issues, or of all that match."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import Connection, func, select

from app.admin import bp
from app.admin.filter_bar import ListChoice
from app.admin.filters import plural
from app.admin.issues import IssueForm, read_issues
from app.admin.merging import merge_chosen
from app.admin.triage import ACTIONS, set_statuses, until_of
from app.intake.retention import purge_deleted
from app.issues import triage
from app.issues import undo as undoing
from app.issues.ignore_until import words_of
from app.issues.queries import MAX_ROW_NUMBER, count_matching
from app.issues.tables import STATUSES, issues
from app.store import utc_now
from app.store.paging import hidden
from app.web import access
from app.web.current import current_accounts, current_store

log = logging.getLogger("app.tracker")

MAX_IDS = 1000
TITLES_SHOWN = 10
# How many batches a request deletes itself; the background task deletes the rest.
BATCHES_AT_ONCE = 5


@bp.post("/issues/change")
@access.decides
def change_issues() -> ResponseReturnValue:
    """Resolve, ignore, reopen, assign, merge or delete the chosen issues, and redirect (303).

    Before it deletes, it shows a page that asks whether to delete.

    :raise 400: there is no such action. :raise 403: the action is to delete, which admins do.
    """
    action, (choice, line) = request.form.get("action", ""), read_issues(request.form)
    if line.error or choice.problems:
        # Without what is wrong, the filter would match more issues than the person saw.
        abort(400, description="the filter of the list is wrong")
    if action == "delete":
        access.demand("admin")
    is_every, ids = request.form.get("scope") == "matching", _ids()
    if not ids and not is_every:
        flash("No issue was chosen.", "warning")
    elif action == "merge":
        if stays := merge_chosen(ids):
            return redirect(url_for("admin.show_issue", issue_id=stays), 303)
    elif action == "delete" and request.form.get("sure") != "yes":
        return _ask(choice, ids, is_every)
    elif action == "delete":
        _delete(_every(choice) if is_every else [ids])
    else:
        token = _change(_change_of(action), _every(choice) if is_every else [ids])
        return redirect(_list_of(choice, undo=token, then=request.form.get("then", "")), 303)
    return redirect(_list_of(choice), 303)


@bp.post("/issues/undo")
@access.decides
def undo_change() -> ResponseReturnValue:
    """Undo the user's last decision about issues of the list, and redirect to it (303)."""
    choice, _ = read_issues(request.form)
    actor = current_user.username
    with current_store().write() as conn:
        decision = undoing.find_decision(conn, actor, request.form.get("token", ""))
        undone = undoing.undo(conn, actor, decision) if decision else None
    if undone is None:
        flash("This cannot be undone any more.", "warning")
    else:
        left = f" {plural(undone.left, 'issue')} changed since and stayed." if undone.left else ""
        flash(f"Undone: {plural(undone.restored, 'issue')} as before.{left}", "note")
    return redirect(_list_of(choice), 303)


def _list_of(choice: ListChoice[IssueForm], undo: str | None = None, then: str = "") -> str:
    """Return the address of the list.

    :param undo: the token of a decision that the list offers to undo.
    :param then: the id of the issue that gets the focus.
    """
    parameters: dict[str, Any] = {**choice.values, "undo": undo}
    anchor = f"issue-{then}" if then.isascii() and then.isdigit() and len(then) < 20 else None
    return url_for("admin.list_of_issues", **parameters, _anchor=anchor)


class Change(NamedTuple):
    """A change of many issues.

    :param apply: changes issues and returns the ids of those that changed.
    :param verb: begins the report; ``end`` comes after the number of issues.
    """

    apply: Callable[[Connection, list[int]], list[int]]
    verb: str
    end: str


def _change_of(name: str) -> Change:
    """Return the change of a button.

    :raise 400: there is no such action or user.
    """
    if name.startswith("assign:"):
        return _assignment(name.removeprefix("assign:") or None)
    action = ACTIONS.get(name) or abort(400)
    until = until_of(action)
    end = f" {words_of(until, utc_now())}" if until else action.end
    return Change(lambda conn, ids: set_statuses(conn, ids, action, until), action.verb, end)


def _assignment(username: str | None) -> Change:
    if username is not None and not current_accounts().is_user(username):
        abort(400, description="there is no such user")
    actor = current_user.username
    return Change(
        lambda conn, ids: triage.assign(conn, ids, username, actor),
        "Assigned",
        f" to {username or 'nobody'}",
    )


def _change(change: Change, batches: Iterable[list[int]]) -> str | None:
    """Change issues, and return the token that undoes it; ``None`` if it cannot be undone."""
    former: dict[int, undoing.Values] = {}
    now: dict[int, undoing.Values] = {}
    changed = 0
    for ids in batches:
        with current_store().write() as conn:
            before = undoing.values_of(conn, ids)
            found = change.apply(conn, ids)
            changed += len(found)
            if changed <= undoing.MAX_ISSUES:
                now |= undoing.values_of(conn, found)
                former |= {id: before[id] for id in found}
    words = f"{change.verb} {plural(changed, 'issue')}{change.end}"
    if not 0 < changed <= undoing.MAX_ISSUES:
        flash(f"{words}.", "note")
        return None
    decision = undoing.Decision(undoing.new_token(), words, former, now)
    with current_store().write() as conn:
        undoing.remember(conn, current_user.username, decision)
    return decision.token


def _delete(batches: Iterable[list[int]]) -> None:
    gone: list[int] = []
    for ids in batches:
        with current_store().write() as conn:
            gone += triage.delete(conn, ids)
    # The history of the issues is deleted with them, so only the log records who deleted them.
    log.info("%s issues deleted by %s: %s …", len(gone), current_user.username, gone[:20])
    purge_deleted(current_store(), at_most=BATCHES_AT_ONCE)
    flash(f"{plural(len(gone), 'issue')} deleted.", "note")


def _ids() -> list[int]:
    texts = request.form.getlist("ids")[:MAX_IDS]
    numbers = {int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 20}
    return sorted(number for number in numbers if 0 < number < MAX_ROW_NUMBER)


def _highest() -> int:
    text = request.form.get("highest", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _every(choice: ListChoice[IssueForm]) -> Iterable[list[int]]:
    return triage.in_batches(current_store(), choice.form.filter, _highest())


def _ask(choice: ListChoice[IssueForm], ids: list[int], is_every: bool) -> str:
    """Show what would be deleted, with the button that deletes it."""
    shown: dict[str, Any] = {"events": None, "titles": [], "is_exact": True}
    with current_store().read() as conn:
        if is_every:
            count, shown["is_exact"] = count_matching(conn, choice.form.filter)
        else:
            known = issues.c.id.in_(ids), hidden(issues.c.status).in_(STATUSES)
            columns = func.count(), func.coalesce(func.sum(issues.c.stored_event_count), 0)
            count, shown["events"] = conn.execute(select(*columns).where(*known)).one()
            titles = select(issues.c.title).where(*known).order_by(issues.c.id.desc())
            shown["titles"] = list(conn.scalars(titles.limit(TITLES_SHOWN)))
    return render_template(
        "issues_delete.html",
        choice=choice,
        ids=[] if is_every else ids,
        is_every=is_every,
        highest=_highest(),
        count=count,
        **shown,
    )
