"""Projects: the list, with what a program needs to report to each."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, select

from app import access
from app.api import bp
from app.api.openapi import Operation, answer, describe
from app.api.schemas import Project, ProjectList
from app.delivery.tables import destinations
from app.projects import OWN_PROJECT_ID, dsn_of, list_projects
from app.services import services


@bp.get("/api/projects")
@access.reads
@describe(Operation("Projects", {200: ProjectList}, problems=(503,), tag="projects"))
def get_projects() -> ResponseReturnValue:
    """Return all projects."""
    config = services().config
    with services().store.read() as conn:
        found, upstream = list_projects(conn), _with_upstream(conn)
    if config.SENTRY_DSN:
        upstream.add(OWN_PROJECT_ID)
    rows = [
        Project(
            id=one.id,
            name=one.name,
            dsn=dsn_of(config.public_url, one.id, one.keys[-1]) if one.keys else None,
            upstream=one.id in upstream,
            keys=one.keys,
            created_at=one.created_at,
            events_per_minute=one.events_per_minute or None,
            retention_days=one.retention_days,
        )
        for one in found
    ]
    return answer(ProjectList(projects=rows))


def _with_upstream(conn: Connection) -> set[int]:
    query = select(destinations.c.project_id).where(destinations.c.dsn.is_not(None))
    return set(conn.execute(query).scalars())
