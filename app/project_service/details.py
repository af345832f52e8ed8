"""Read projects with their destinations and figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from app.delivery.destinations import Destination, Destinations
from app.delivery.ledger import Held, held_by_project
from app.delivery.tables import counters
from app.events.tables import events
from app.issues.tables import STATUSES, issues
from app.projects import Project, find_project, list_projects
from app.projects.quotas import REFUSED


@dataclass(frozen=True)
class Figures:
    """The figures of a project.

    :param events: how many events were ever seen.
    :param issues: how many issues the store has.
    :param refused: how many envelopes were refused because of the quota.
    """

    events: int = 0
    issues: int = 0
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    refused: int = 0


@dataclass(frozen=True)
class ProjectDetails:
    """A project with its destination, its figures, and its envelopes that are held here."""

    project: Project
    destination: Destination
    figures: Figures
    held: Held = Held()

    @property
    def contents(self) -> str:
        """What the project has, in words."""
        waiting = self.held.waiting + self.held.parked
        words = (
            f"{_plural(self.figures.events, 'event')} in {_plural(self.figures.issues, 'issue')}"
        )
        return f"{words}; {_plural(waiting, 'envelope')} not at Sentry yet" if waiting else words


def list_details(conn: Connection, destinations: Destinations) -> list[ProjectDetails]:
    """Return the details of every project, ordered by id."""
    found = {destination.project_id: destination for destination in destinations.list(conn)}
    figures, held = _figures(conn), held_by_project(conn)
    return [
        ProjectDetails(
            project,
            found.get(project.id, Destination(project.id)),
            figures.get(project.id, Figures()),
            held.get(project.id, Held()),
        )
        for project in list_projects(conn)
    ]


def find_details(conn: Connection, destinations: Destinations, project_id: int) -> ProjectDetails:
    """Return the details of a project.

    :raise NoSuchProject: the project does not exist.
    """
    project = find_project(conn, project_id)
    figures = _figures(conn, project_id).get(project_id, Figures())
    held = held_by_project(conn, project_id).get(project_id, Held())
    return ProjectDetails(project, destinations.find(conn, project_id), figures, held)


def first_event(conn: Connection, project_id: int) -> Row[Any] | None:
    """Return the oldest stored event of a project, or ``None`` if it has no event.

    The query goes through the first issue of the project, because no index leads to the oldest
    event of a project.
    """
    of_project = issues.c.project_id == project_id, issues.c.status.in_(STATUSES)
    first = select(func.min(issues.c.id)).where(*of_project).scalar_subquery()
    query = select(events).where(events.c.issue_id == first).order_by(events.c.id).limit(1)
    return conn.execute(query).first()


def _figures(conn: Connection, project_id: int | None = None) -> dict[int, Figures]:
    """Return the figures by project id; projects without events and refusals are left out.

    The query reads issues, because there are far fewer issues than events.
    """
    query = select(
        issues.c.project_id,
        func.sum(issues.c.times_seen).label("events"),
        func.count().label("issues"),
        func.min(issues.c.first_seen).label("first_seen"),
        func.max(issues.c.last_seen).label("last_seen"),
    ).where(issues.c.status.in_(STATUSES))
    if project_id is not None:
        query = query.where(issues.c.project_id == project_id)
    found = {
        row.project_id: Figures(int(row.events), row.issues, row.first_seen, row.last_seen)
        for row in conn.execute(query.group_by(issues.c.project_id))
    }
    for project_id, count in _refused(conn).items():
        found[project_id] = replace(found.get(project_id, Figures()), refused=count)
    return found


def _refused(conn: Connection) -> dict[int, int]:
    query = select(counters).where(counters.c.name.startswith(REFUSED))
    return {int(name.removeprefix(REFUSED)): int(value) for name, value in conn.execute(query)}


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
