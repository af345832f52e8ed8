"""Release health: how sessions ended, by release."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection


class Health(NamedTuple):
    """Sessions and their users; all are counts."""

    sessions: int = 0
    crashed: int = 0
    abnormal: int = 0
    errored: int = 0
    users: int = 0
    crashed_users: int = 0

    @property
    def crash_free_sessions(self) -> float | None:
        """The share of sessions that did not crash, 0 to 1; ``None`` without any."""
        return 1 - self.crashed / self.sessions if self.sessions else None

    @property
    def crash_free_users(self) -> float | None:
        """The share of users who met no crash, 0 to 1; ``None`` without any."""
        return 1 - self.crashed_users / self.users if self.users else None


def health_by_release(
    conn: Connection,
    project_id: int,
    since: datetime,
    until: datetime,
    environment: str | None = None,
) -> dict[str, Health]:
    """Return the health of each release by its version; sessions are not counted yet."""
    return {}


def health_of(
    conn: Connection,
    project_id: int,
    since: datetime,
    until: datetime,
    release: str | None = None,
    environment: str | None = None,
) -> Health:
    """Return the health of a project or of one release; sessions are not counted yet."""
    return Health()
