"""Projects: the list and one, with what a program needs to report to it; made, changed, keyed.

The DSN of an upstream can be written and not read: an answer tells its host.
"""

from __future__ import annotations

from typing import Annotated, Any

from flask.typing import ResponseReturnValue
from pydantic import Field

from app.api import bp
from app.api.openapi import Operation, answer, describe
from app.api.requests import Body, read_body
from app.api.schemas import Project, ProjectDelivery, ProjectDetail, ProjectKey, ProjectList
from app.delivery.upstreams import reach
from app.intake.refusals import refused_by_reason
from app.project_service import (
    Enrolled,
    Name,
    ProjectChange,
    amend,
    enroll,
    find_enrolled,
    list_enrolled,
)
from app.projects import (
    MAX_PROJECT_ID,
    dsn_of,
    revoke_key,
    rotate_key,
)
from app.store import utc_now
from app.web import access
from app.web.current import current_config, current_destinations, current_store

Key = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]


class NewProject(ProjectChange):
    """A project to be made."""

    name: Name
    id: Annotated[int, Field(ge=1, le=MAX_PROJECT_ID)] | None = None
    key: Key | None = None


class NewKey(Body):
    """A key to be made; `key` takes one over from elsewhere, `revoke` ends those before it."""

    key: Key | None = None
    revoke: bool = False


@bp.get("/api/projects")
@access.reads
@describe(Operation("Projects", {200: ProjectList}, problems=(503,), tag="projects"))
def get_projects() -> ResponseReturnValue:
    """Return all projects."""
    with current_store().read() as conn:
        found = list_enrolled(conn, current_destinations())
    return answer(ProjectList(projects=[Project(**_fields(one)) for one in found]))


@bp.get("/api/projects/<int:project_id>")
@access.reads
@describe(
    Operation(
        "One project, with its figures", {200: ProjectDetail}, problems=(404, 503), tag="projects"
    )
)
def get_project(project_id: int) -> ResponseReturnValue:
    """Return one project.

    :raise 404: there is none with this id.
    """
    return _answered(project_id)


@bp.post("/api/projects")
@access.writes
@describe(
    Operation(
        "Make a project with a key",
        {201: ProjectDetail},
        body=NewProject,
        problems=(400, 409, 413, 415, 422, 503),
        tag="projects",
    )
)
def post_project() -> ResponseReturnValue:
    """Make a project.

    :raise 409: its id or key is taken. :raise 422: a field is wrong.
    """
    body = read_body(NewProject)
    change = body.model_dump(exclude={"id", "key"}, exclude_unset=True)
    project_id = enroll(current_store(), current_config(), change, body.id, body.key)
    return _answered(project_id, 201)


@bp.patch("/api/projects/<int:project_id>")
@access.writes
@describe(
    Operation(
        "Change a project",
        {200: ProjectDetail},
        body=ProjectChange,
        problems=(400, 404, 413, 415, 422, 503),
        tag="projects",
    )
)
def patch_project(project_id: int) -> ResponseReturnValue:
    """Change what is named; the DSN of project 1 is a setting.

    :raise 404: there is no such project. :raise 422: a field is wrong.
    """
    change = read_body(ProjectChange).changes()
    amend(current_store(), current_config(), project_id, change)
    return _answered(project_id)


@bp.post("/api/projects/<int:project_id>/keys")
@access.writes
@describe(
    Operation(
        "Make another key",
        {201: ProjectKey},
        body=NewKey,
        problems=(400, 404, 409, 413, 415, 422, 503),
        tag="projects",
    )
)
def post_key(project_id: int) -> ResponseReturnValue:
    """Make another key; the old ones work until they are revoked.

    :raise 404: there is no such project. :raise 409: the key is taken.
    """
    body = read_body(NewKey)
    key = rotate_key(current_store(), project_id, body.key, revoke=body.revoke)
    dsn = dsn_of(current_config().public_url, project_id, key)
    return answer(ProjectKey(project_id=project_id, public_key=key, dsn=dsn), 201)


@bp.delete("/api/projects/<int:project_id>/keys/<public_key>")
@access.writes
@describe(Operation("Revoke a key", {200: ProjectDetail}, problems=(404, 503), tag="projects"))
def delete_key(project_id: int, public_key: str) -> ResponseReturnValue:
    """Make a key stop working; the answer has those that still do.

    :raise 404: the project has no such key that works.
    """
    revoke_key(current_store(), project_id, public_key)
    return _answered(project_id)


def _answered(project_id: int, status: int = 200) -> ResponseReturnValue:
    with current_store().read() as conn:
        one = find_enrolled(conn, current_destinations(), project_id)
        refused = {row.reason: row.count for row in refused_by_reason(conn, project_id)}
    figures = {
        "events": one.figures.events,
        "issues": one.figures.issues,
        "first_seen": one.figures.first_seen,
        "last_seen": one.figures.last_seen,
        "refused_by_quota": one.figures.refused,
        "refused": refused,
    }
    return answer(ProjectDetail(**_fields(one), **figures), status)


def _fields(one: Enrolled) -> dict[str, Any]:
    project, keys = one.project, one.project.keys
    public_url = current_config().public_url
    return {
        "id": project.id,
        "name": project.name,
        "dsn": dsn_of(public_url, project.id, keys[-1]) if keys else None,
        "upstream": one.destination.dsn is not None,
        "upstream_host": one.destination.host,
        "keys": keys,
        "created_at": project.created_at,
        "events_per_minute": project.events_per_minute,
        "retention_days": project.retention_days,
        "delivery": ProjectDelivery(
            state=reach(one.destination, utc_now()),
            cause=one.destination.cause,
            **one.held._asdict(),
        ),
    }
