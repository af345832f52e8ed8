"""Memories: the users that have some, their contents, the state of the index; deleting them.

The query of the address names the user, since a user's id may have any characters.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm

from app.admin import bp
from app.admin.filter_bar import row_number
from app.admin.filters import plural
from app.admin.status import Finding
from app.memory import current_memories, queries, user_counts
from app.memory.inputs import MAX_CONTENT, MAX_USER_ID, MemorySearch
from app.memory.scope import Scope
from app.protocol.event import clean_text
from app.web import access
from app.web.current import current_store

if TYPE_CHECKING:
    from app.memory.service import Found, State

log = logging.getLogger("app.tracker")

PAGE_SIZE = 50
SHOWN_HITS = 20
UNKNOWN = "there is no such memory (any more)"


@bp.get("/memories")
@access.views
def list_of_memory_users() -> ResponseReturnValue:
    """Show the users that have memories, and the state of the index."""
    text, after = _text("q", MAX_USER_ID), request.args.get("after") or None
    state = current_memories().state()
    with current_store().read() as conn:
        users = user_counts.list_users(
            conn, text, after=clean_text(after) if after else None, limit=PAGE_SIZE + 1
        )
    page = users[:PAGE_SIZE]
    return render_template(
        "memories.html",
        users=page,
        text=text,
        state=state,
        findings=list(findings(state)),
        is_first=after is None,
        next=page[-1].user_id if len(users) > PAGE_SIZE else None,
    )


@bp.get("/memories/user")
@access.views
def show_memories() -> ResponseReturnValue:
    """Show a user's memories, newest first, and the results of a search."""
    user, text, before = _user(), _text("q", MAX_CONTENT), row_number("before")
    found = _found(user, text) if text else None
    with current_store().read() as conn:
        rows = queries.list_memories(conn, Scope(user), before=before, limit=PAGE_SIZE + 1)
        total = user_counts.count(conn, user)
    page = rows[:PAGE_SIZE]
    return render_template(
        "memories_of_user.html",
        user=user,
        text=text,
        found=found,
        rows=page,
        total=total,
        is_indexed=current_memories().indexing.has,
        is_first=before is None,
        older=page[-1].seq if len(rows) > PAGE_SIZE else None,
    )


@bp.route("/memories/user/delete", methods=["GET", "POST"])
@access.admin
def delete_memories() -> ResponseReturnValue:
    """Ask whether to delete a memory, or all memories of a user; delete them on POST (303).

    :raise 404: there is nothing to delete.
    """
    user, id, form = _user(), request.values.get("id"), FlaskForm()
    with current_store().read() as conn:
        row = queries.find(conn, Scope(user), clean_text(id)) if id else None
        total = user_counts.count(conn, user)
    if total == 0 or (id and row is None):
        abort(404, description=UNKNOWN)
    if not form.validate_on_submit():
        return render_template("memories_delete.html", user=user, row=row, total=total)
    if row is not None:
        current_memories().remove(Scope(user), row.id)
        flash("The memory is deleted.", "note")
        return redirect(url_for("admin.show_memories", user=user), 303)
    gone = current_memories().remove_all(Scope(user))
    log.info("%s deleted all %d memories of a user", current_user.username, gone)
    flash(f"{plural(gone, 'memory', 'memories')} deleted.", "note")
    return redirect(url_for("admin.list_of_memory_users"), 303)


def findings(state: State) -> Iterator[Finding]:
    """Yield what a person should look at."""
    if state.failure is not None:
        yield Finding("bad", "The index does not work:", f"{state.failure}.")
    if state.embedder == "failed":
        yield Finding("bad", "The embedder does not load.", "The log says why; EMBEDDER names it.")
    elif state.embedder_failure is not None:
        yield Finding(
            "bad",
            "The embedder does not work:",
            f"{state.embedder_failure}. Memories wait for their vectors meanwhile.",
        )
    if state.lacking:
        yield Finding(
            "note",
            f"{plural(state.lacking, 'memory', 'memories')} not in the index yet.",
            "They are put there by themselves; searches do not find them until then.",
        )
    if state.foreign:
        yield Finding(
            "note",
            f"{plural(state.foreign, 'memory', 'memories')} without a vector of this embedder.",
            "They are embedded by themselves; `flask memory reindex` does it at once.",
        )
    if state.removals:
        yield Finding(
            "note",
            f"{plural(state.removals, 'deleted memory', 'deleted memories')} still in the index.",
            "They are removed there by themselves; nobody finds them.",
        )


def _found(user: str, text: str) -> Found:
    wanted = MemorySearch(user_id=user, query=text, limit=SHOWN_HITS)
    return current_memories().search(wanted)


def _user() -> str:
    user = clean_text(request.values.get("user", ""))[:MAX_USER_ID]
    return user if user.strip() else abort(404, description="no user is named")


def _text(name: str, at_most: int) -> str:
    return clean_text(request.args.get(name, "").strip())[:at_most]
