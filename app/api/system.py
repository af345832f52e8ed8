"""The status of the service, for programs."""

from __future__ import annotations

from app.api.routes import Routes
from app.api.schemas import SystemStatus
from app.web import access, system

route = Routes("system")


@route("GET /system/status", access.shows)
def system_status() -> SystemStatus:
    """How service, machine and store are.

    Answered with a broken store, too.
    """
    return SystemStatus(**system.status())
