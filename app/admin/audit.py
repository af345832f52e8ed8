"""The audit log: who did what, when and from where. It can only be read."""

from __future__ import annotations

from flask import render_template, request
from flask.typing import ResponseReturnValue

from app.accounts import audit
from app.admin import bp
from app.admin.filter_bar import row_number
from app.protocol.event import clean_text
from app.web import access
from app.web.current import current_config, current_store

PAGE_SIZE = 100


@bp.get("/audit")
@access.admin
def show_audit() -> ResponseReturnValue:
    """Show a page of the log, the newest first; the address may name an actor and an action."""
    before = row_number("before")
    chosen = {name: clean_text(request.args.get(name, ""))[:200] for name in ("actor", "action")}
    with current_store().read() as conn:
        page = audit.page_of_entries(conn, before=before, limit=PAGE_SIZE, **chosen)
    return render_template(
        "audit.html",
        entries=audit.entries_of(page),
        chosen={name: value for name, value in chosen.items() if value},
        actions=audit.ACTIONS,
        is_first=before is None,
        older=page.next[-1] if page.next else None,
        days=current_config().AUDIT_RETENTION_DAYS,
    )
