"""The counts of refused envelopes, by project and reason.

It also describes exceeded quotas in words, for alerts and the start page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from app.delivery.accounting import read_counter
from app.delivery.tables import counters
from app.projects.quotas import (
    ANY_REFUSED,
    REASONS,
    REFUSAL_WORDS,
    REFUSED,
    UNKNOWN_PROJECT,
    refusals_since,
    refused_counter,
)


@dataclass(frozen=True)
class Refused:
    """How many envelopes were refused for one reason, since the store was created.

    :param project_id: ``None`` if the request named no existing project.
    :param reason: one of :data:`app.projects.quotas.REASONS`.
    """

    project_id: int | None
    reason: str
    count: int

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return REASONS[self.reason]

    @property
    def words(self) -> str:
        """The reason as a sentence, without a full stop."""
        return REFUSAL_WORDS[self.reason]


def refused_by_reason(conn: Connection, project_id: int | None = None) -> list[Refused]:
    """Return the counts of refused envelopes, by project and reason.

    Refusals without a project come first.

    :param project_id: only refusals of this project.
    """
    found = conn.execute(select(counters).where(counters.c.name.startswith(ANY_REFUSED)))
    return refused_of({name: value for name, value in found}, project_id)


def refused_of(counted: Mapping[str, int], project_id: int | None = None) -> list[Refused]:
    """Return what :func:`refused_by_reason` does, from counters by name."""
    named = ((name, value) for name, value in counted.items() if name.startswith(ANY_REFUSED))
    rows = [_refused(name, int(value)) for name, value in named]
    wanted = [row for row in rows if project_id in (None, row.project_id)]
    known = [one for one in wanted if one.reason in REASONS]
    return sorted(known, key=lambda one: (one.project_id or 0, -one.count))


def _refused(name: str, count: int) -> Refused:
    reason, _, project = name.removeprefix(ANY_REFUSED).rpartition(":")
    return Refused(None if project == UNKNOWN_PROJECT else int(project), reason, count)


@dataclass(frozen=True)
class Refusals:
    """A project that exceeded its quota.

    :param since: when the project exceeded it.
    :param refused: how many envelopes were refused from then on.
    """

    project_id: int
    name: str
    since: datetime
    refused: int

    @property
    def words(self) -> str:
        """One sentence without its full stop. The time in it is UTC."""
        noun = "envelope was" if self.refused == 1 else "envelopes were"
        return (
            f"Project {self.name} was over its quota at {self.since:%H:%M}:"
            f" {self.refused:,} {noun} refused"
        )


def refusals(
    conn: Connection, moment: datetime, counted: Mapping[str, int] | None = None
) -> list[Refusals]:
    """Return the projects whose quota refused envelopes after a time, ordered by project.

    :param counted: every counter by name, if they were read before.
    """
    if counted is not None and not any(name.startswith(REFUSED) for name in counted):
        return []
    rows = refusals_since(conn, moment)
    return [
        Refusals(row.project_id, row.name, row.over_since, _refused_since(conn, row, counted))
        for row in rows
    ]


def _refused_since(conn: Connection, row: Row[Any], counted: Mapping[str, int] | None) -> int:
    name = refused_counter(row.project_id)
    refused = read_counter(conn, name) if counted is None else counted.get(name, 0)
    return refused - int(row.refused_before)
