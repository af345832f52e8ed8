"""Erase a person: count first, then erase, each as a run in the background."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from flask import current_app
from pydantic import Field
from sqlalchemy import Connection, Row

from app.api.requests import Paged, first_page
from app.api.routes import Routes
from app.api.schemas import ApiModel, Next
from app.erasing import jobs
from app.erasing.identifier import MAX_LENGTH, Identifier, WrongIdentifier
from app.erasing.records import find_erasure, list_erasures, state_of
from app.inputs import Body
from app.web import access
from app.web.current import current_store
from app.web.errors import FieldErrors, or_404

Kind = Literal["user_id", "email", "ip"]

route = Routes("erasures")


class NewErasure(Body):
    """Whom to erase, and whether to only count."""

    kind: Kind
    # Without its value in ``repr``, which an error that is recorded would have.
    value: str = Field(
        min_length=1, max_length=MAX_LENGTH, description="It is stored nowhere.", repr=False
    )
    dry_run: bool = Field(description="True: only count what would be erased.")


class Forwarded(ApiModel):
    """Envelopes of a project that Sentry had accepted already, by when they were received."""

    project_id: int
    envelopes: int
    first: datetime
    last: datetime


class ErasureReport(ApiModel):
    """What a run found."""

    counts: dict[str, int] = Field(description="By what it was: envelopes, events, users …")
    forwarded: list[Forwarded] = Field(description="It has to be erased in Sentry, too.")
    stays: list[str] = Field(description="Names and settings of people of this service.")
    notes: list[str]
    left: int | None = Field(description="Found again at the end; null if it only counted.")


class Erasure(ApiModel):
    """A run; `identifier_hash` is keyed with a secret of this instance."""

    id: int
    at: datetime
    actor: str
    kind: Kind
    identifier_hash: str
    dry_run: bool
    state: Literal["running", "done", "failed", "stopped"]
    done: int = Field(description="Rows and envelopes that it looked through.")
    total: int = Field(description="About how many there are.")
    finished_at: datetime | None
    report: ErasureReport | None


class ErasurePage(ApiModel):
    """A page of runs, newest first."""

    erasures: list[Erasure]
    next: Next


@route("POST /api/erasures", access.writes, status=202)
def post_erasure(body: NewErasure) -> Erasure:
    """Erase a person, or count what would be erased.

    The run goes on in the background; its state and report are at `/api/erasures/<id>`.

    :raise 409: another run has not ended.
    """
    try:
        identifier = Identifier.of(body.kind, body.value)
    except WrongIdentifier as error:
        raise FieldErrors([{"field": "value", "message": str(error)}]) from None
    run_id = jobs.start(identifier, str(current_app.secret_key), is_dry=body.dry_run)
    return get_erasure(run_id)


@route("GET /api/erasures", access.reads)
def get_erasures(query: Paged) -> ErasurePage:
    """List the runs, newest first."""
    with current_store().read() as conn:
        rows = list_erasures(conn, before=query.cursor, limit=query.limit + 1)
        page, more = first_page(rows, query.limit)
        return ErasurePage(erasures=[_shown(conn, row) for row in page], next=more)


@route("GET /api/erasures/<int:run_id>", access.reads)
def get_erasure(run_id: int) -> Erasure:
    """Return a run with its report.

    :raise 404: there is no such run.
    """
    with current_store().read() as conn:
        row = or_404(find_erasure(conn, run_id), "there is no such run")
        return _shown(conn, row)


def _shown(conn: Connection, row: Row[Any]) -> Erasure:
    report = row.report and ErasureReport(**row.report)
    return Erasure.of(row, dry_run=row.is_dry, state=state_of(conn, row), report=report)
