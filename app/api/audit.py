"""The audit log: who did what, when and from where."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.accounts import audit
from app.api.requests import Paged, number_after
from app.api.routes import Routes
from app.api.schemas import ApiModel, Next
from app.web import access
from app.web.current import current_store

route = Routes("audit")


class AuditEntry(ApiModel):
    """What somebody did.

    `actor` is a user, `token:NAME`, `loopback`, `command line` or `service`.
    """

    id: int
    at: datetime
    actor: str
    address: str | None
    action: str
    target: str
    detail: str


class AuditEntries(ApiModel):
    """A page of the log, newest first."""

    entries: list[AuditEntry]
    next: Next


class AuditQuery(Paged):
    """The entries to list."""

    actor: Annotated[str, Field(max_length=200, description="Of this one.")] = ""
    action: Annotated[str, Field(max_length=40, description="Of this kind, as `login`.")] = ""


@route("GET /api/audit", access.audits)
def get_audit(query: AuditQuery) -> AuditEntries:
    """List what people, tokens and commands did, newest first."""
    with current_store().read() as conn:
        page = audit.page_of_entries(
            conn, actor=query.actor, action=query.action, before=query.cursor, limit=query.limit
        )
    entries = [AuditEntry(**entry._asdict()) for entry in audit.entries_of(page)]
    return AuditEntries(entries=entries, next=number_after(page))
