"""Projects: the list and one, with what a program needs to report to it; made, changed, keyed.

The DSN of an upstream can be written and not read: an answer tells its host.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, cast

from flask import abort
from flask.typing import ResponseReturnValue
from pydantic import Field

from app.api import bp
from app.api.openapi import Operation, answer, describe
from app.api.requests import Body, PatchBody, read_body, unchanged
from app.api.schemas import Project, ProjectDelivery, ProjectDetail, ProjectKey, ProjectList
from app.delivery.upstreams import reach
from app.intake.refusals import refused_by_reason
from app.project_service import (
    MAX_DSN_LENGTH,
    MAX_EVENTS_PER_MINUTE,
    MAX_RETENTION_DAYS,
    Change,
    ProjectDetails,
    amend,
    find_details,
    list_details,
    register_project,
)
from app.projects import (
    MAX_NAME_LENGTH,
    MAX_PROJECT_ID,
    NoSuchProject,
    ProjectError,
    Taken,
    dsn_of,
    revoke_key,
    rotate_key,
)
from app.store import utc_now
from app.web import access
from app.web.current import current_config, current_destinations, current_store
from app.web.errors import FieldErrors

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
Key = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
Quota = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_EVENTS_PER_MINUTE,
        description="0 for no limit, null for DEFAULT_EVENTS_PER_MINUTE.",
    ),
]
Days = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_RETENTION_DAYS,
        description="0 for no limit, null for what RETENTION_DAYS says.",
    ),
]
UpstreamDsn = Annotated[
    str,
    Field(
        max_length=MAX_DSN_LENGTH,
        description="Where its events are sent on to; null to send none. It is never shown again.",
    ),
]


class ProjectChange(PatchBody):
    """What is to be changed; what is not named stays."""

    name: Name = unchanged()
    upstream_dsn: UpstreamDsn | None = None
    events_per_minute: Quota | None = None
    retention_days: Days | None = None


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
        found = list_details(conn, current_destinations())
    return answer(ProjectList(projects=[Project(**_fields(details)) for details in found]))


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
    with _refusals():
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
    change = cast(Change, body.model_dump(exclude={"id", "key"}, exclude_unset=True))
    with _refusals():
        project_id = register_project(current_store(), current_config(), change, body.id, body.key)
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
    with _refusals():
        amend(current_store(), current_config(), project_id, cast(Change, change))
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
    with _refusals():
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
    with _refusals():
        revoke_key(current_store(), project_id, public_key)
        return _answered(project_id)


def _answered(project_id: int, status: int = 200) -> ResponseReturnValue:
    with current_store().read() as conn:
        details = find_details(conn, current_destinations(), project_id)
        refused = {row.reason: row.count for row in refused_by_reason(conn, project_id)}
    figures = {
        "events": details.figures.events,
        "issues": details.figures.issues,
        "first_seen": details.figures.first_seen,
        "last_seen": details.figures.last_seen,
        "refused_by_quota": details.figures.refused,
        "refused": refused,
    }
    return answer(ProjectDetail(**_fields(details), **figures), status)


def _fields(project_details: ProjectDetails) -> dict[str, Any]:
    project, keys = project_details.project, project_details.project.keys
    public_url = current_config().public_url
    return {
        "id": project.id,
        "name": project.name,
        "dsn": dsn_of(public_url, project.id, keys[-1]) if keys else None,
        "upstream": project_details.destination.dsn is not None,
        "upstream_host": project_details.destination.host,
        "keys": keys,
        "created_at": project.created_at,
        "events_per_minute": project.events_per_minute,
        "retention_days": project.retention_days,
        "delivery": ProjectDelivery(
            state=reach(project_details.destination, utc_now()),
            cause=project_details.destination.cause,
            **project_details.held._asdict(),
        ),
    }


@contextmanager
def _refusals() -> Iterator[None]:
    """Answer what cannot be done: 404, 409, or 422 with the field."""
    try:
        yield
    except NoSuchProject as error:
        abort(404, description=str(error))
    except Taken as error:
        abort(409, description=str(error))
    except ProjectError as error:
        raise FieldErrors([{"field": error.field or "body", "message": str(error)}]) from None
