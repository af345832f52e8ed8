"""The status of the service, for programs."""

from __future__ import annotations

from datetime import date
from typing import Any

from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.web import access, system

route = Routes("system")


class Accounting(ApiModel):
    """The accounting: numbers of envelopes since the store was made."""

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
    """Data that a client reported as lost, or as left out by its configuration, in 7 days."""

    project_id: int
    client: str
    reason: str
    category: str
    quantity: int
    last_day: date


class RefusedCount(ApiModel):
    """The number of envelopes that were refused for a reason, since the store was made.

    `project_id` is null if the project does not exist. `status` is the HTTP status of the answer.
    """

    project_id: int | None
    reason: str
    status: int
    words: str
    count: int


class SystemStatus(ApiModel):
    """The state of the service, the machine and the store.

    `last_verified_backup_at` is when the snapshot of the last backup was taken that `flask backup`
    read again to its end; null if there was none.
    """

    service: dict[str, Any]
    process: dict[str, Any]
    machine: dict[str, Any]
    cgroup: dict[str, Any] | None
    store: dict[str, Any]
    vectors: dict[str, Any]
    sentry: dict[str, Any]
    accounting: Accounting | None
    last_verified_backup_at: str | None
    counters: dict[str, int]
    items: dict[str, int]
    client_losses: list[ClientLoss]
    refused: list[RefusedCount]
    versions: dict[str, str]


@route("GET /system/status", access.shows)
def system_status() -> SystemStatus:
    """Return the state of the service, the machine and the store.

    This route answers even if the store does not.
    """
    return SystemStatus(**system.status())
