"""What projects were refused for their quota, in words: for the start page and for alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from app.delivery.books import read_counter
from app.projects import projects
from app.quotas import refusals_since, refused_counter


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
