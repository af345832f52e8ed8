"""What was refused at the door, by project and reason; of quotas in words, for alerts and Start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from app.delivery.accounting import read_counter
from app.delivery.tables import counters
from app.projects import projects
from app.projects.quotas import (
    ANY_REFUSED,
    REASONS,
    UNKNOWN_PROJECT,
    refusals_since,
    refused_counter,
)

_WORDS = {
    "malformed": "The envelope could not be read",
    "no_key": "No key was given",
    "unknown_key": "The key is unknown or revoked",
    "key_of_another_project": "The key belongs to another project",
    "credentials_disagree": "The keys that were given disagree",
    "too_large": "The envelope was too large",
    "quota": "The project was over its quota",
    "store_full": "The store was full",
}


@dataclass(frozen=True)
class Refused:
    """How many envelopes were refused for a reason, since the store was made.

    :param project_id: ``None``: of no project that there is.
    :param reason: one of :data:`app.projects.quotas.REASONS`.
    """

    project_id: int | None
    reason: str
    count: int

    @property
    def status(self) -> int:
        """What was answered."""
        return REASONS[self.reason]

    @property
    def words(self) -> str:
        """The reason in words, without a full stop."""
        return _WORDS[self.reason]


def refused_by_reason(conn: Connection, project_id: int | None = None) -> list[Refused]:
    """Return what was refused, by project and reason; those without a project first.

    :param project_id: of this one only.
    """
    found = conn.execute(select(counters).where(counters.c.name.startswith(ANY_REFUSED)))
    rows = [_refused(name, int(value)) for name, value in found]
    wanted = [row for row in rows if project_id in (None, row.project_id)]
    known = [one for one in wanted if one.reason in REASONS]
    return sorted(known, key=lambda one: (one.project_id or 0, -one.count))


def _refused(name: str, count: int) -> Refused:
    reason, _, project = name.removeprefix(ANY_REFUSED).rpartition(":")
    return Refused(None if project == UNKNOWN_PROJECT else int(project), reason, count)


@dataclass(frozen=True)
class Refusals:
    """A project that was over its quota.

    :param since: when that began.
    :param refused: envelopes, from then on.
    """

    project_id: int
    name: str
    since: datetime
    refused: int

    @property
    def words(self) -> str:
        """One sentence, without its full stop; the time is UTC."""
        noun = "envelope was" if self.refused == 1 else "envelopes were"
        return (
            f"Project {self.name} was over its quota at {self.since:%H:%M}:"
            f" {self.refused:,} {noun} refused"
        )


def refusals(conn: Connection, moment: datetime) -> list[Refusals]:
    """Return the projects whose quota refused something after a moment, by project."""
    rows = refusals_since(conn, moment)
    if not rows:
        return []
    names = {row.id: row.name for row in conn.execute(select(projects.c.id, projects.c.name))}
    return [
        Refusals(
            row.project_id,
            names[row.project_id],
            row.over_since,
            read_counter(conn, refused_counter(row.project_id)) - row.refused_before,
        )
        for row in rows
    ]
