"""The status of the service, for programs."""

from __future__ import annotations

from datetime import date
from typing import Any

from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.web import access, system

route = Routes("system")


class Accounting(ApiModel):
    """The accounting, in envelopes since the store was made."""

    accepted: int
    local: int
    pending: int
    retry: int
    delivered: int
    parked: int
    expired: int
    discarded: dict[str, int]
    balanced: bool


class ClientLoss(ApiModel):
    """What a client says that it lost, or left out as it was set up to."""

    project_id: int
    client: str
    reason: str
    category: str
    quantity: int
    last_day: date


class RefusedCount(ApiModel):
    """How many envelopes were refused for a reason, since the store was made.

    `project_id` is null where it is of no project that there is; `status` is what was answered.
    """

    project_id: int | None
    reason: str
    status: int
    words: str
    count: int


class SystemStatus(ApiModel):
    """How the service, the machine and the store are."""

    service: dict[str, Any]
    process: dict[str, Any]
    machine: dict[str, Any]
    cgroup: dict[str, Any] | None
    store: dict[str, Any]
    vectors: dict[str, Any]
    sentry: dict[str, Any]
    accounting: Accounting | None
    counters: dict[str, int]
    items: dict[str, int]
    client_losses: list[ClientLoss]
    refused: list[RefusedCount]
    versions: dict[str, str]


@route("GET /system/status", access.shows)
def system_status() -> SystemStatus:
    """How service, machine and store are.

    Answered with a broken store, too.
    """
    return SystemStatus(**system.status())
