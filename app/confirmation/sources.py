"""What is known about asking for a project: its DSN, when it was last asked, why it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from app.confirmation.apis import Api
from app.confirmation.tables import State, confirmation_sources, confirmations
from app.delivery.destinations import Destination
from app.projects import OWN_PROJECT_ID
from app.store import replaced, upsert

OTHER_DSN = "the project's DSN was replaced before Sentry could be asked"


@dataclass(frozen=True)
class Source:
    """A row of ``confirmation_sources``.

    :param since: only what was accepted since then was certainly accepted by the present DSN.
    :param chosen_at: when an event of the project was last chosen.
    :param checked_at: when the API last showed the project.
    :param cause: why the API cannot be asked about the project.
    """

    project_id: int
    dsn_hash: str
    chosen_at: datetime
    since: datetime | None = None
    sampled_at: datetime | None = None
    checked_at: datetime | None = None
    needs_check: bool = False
    cause: str | None = None
    rests_until: datetime | None = None

    def may_be_asked(self, now: datetime) -> bool:
        """Return whether the API may be asked about the project."""
        return self.rests_until is None or self.rests_until <= now


def read_sources(conn: Connection, project_ids: list[int]) -> dict[int, Source]:
    """Return the sources of projects by project id."""
    of_them = confirmation_sources.c.project_id.in_(project_ids)
    rows = conn.execute(select(confirmation_sources).where(of_them))
    return {row.project_id: Source(**row._mapping) for row in rows}


def begin(
    conn: Connection, api: Api, destination: Destination, started_at: datetime, now: datetime
) -> None:
    """Begin to watch the present DSN of a project, and give up what another one accepted.

    :param started_at: of this process. The DSN of project 1 is a setting, read at the start.
    """
    is_own = destination.project_id == OWN_PROJECT_ID
    since = started_at if is_own else destination.dsn_since
    source = Source(destination.project_id, api.dsn_hash, chosen_at=now, since=since)
    changed = {name: replaced for name in vars(source)}
    conn.execute(upsert(conn, confirmation_sources, vars(source), **changed))
    columns = confirmations.c
    asked = columns.project_id == source.project_id, columns.next_at.is_not(None)
    given_up = update(confirmations).where(*asked).values(next_at=None)
    of_open = given_up.where(columns.state == State.OPEN)
    conn.execute(of_open.values(state=State.UNKNOWN, reason=OTHER_DSN))
    conn.execute(given_up)


def change(conn: Connection, project_id: int, values: Mapping[str, Any]) -> None:
    """Change columns of a source."""
    of_project = confirmation_sources.c.project_id == project_id
    conn.execute(update(confirmation_sources).where(of_project).values(values))
