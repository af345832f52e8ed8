"""The status of the service, for programs."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from app.api import bp
from app.api.openapi import Operation, answer, describe
from app.api.schemas import SystemStatus
from app.web import access, system


@bp.get("/system/status")
@access.shows
@describe(Operation("How service, machine and store are", {200: SystemStatus}))
def system_status() -> ResponseReturnValue:
    """Return the status; with a broken store, too."""
    return answer(SystemStatus(**system.status()))
