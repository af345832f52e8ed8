"""Projects: the list and one, with what a program needs to report to it; made, changed, keyed.

The DSN of an upstream can be written and not read: an answer tells its host.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import Field

from app.api.errors import answer_with
from app.api.requests import Body, PatchBody, unchanged
from app.api.routes import Routes
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

route = Routes("projects")
answer_with(404, NoSuchProject)
answer_with(409, Taken)
answer_with(422, ProjectError)


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


@route("GET /api/projects", access.reads)
def get_projects() -> ProjectList:
    """Projects."""
    with current_store().read() as conn:
        found = list_details(conn, current_destinations())
    return ProjectList(projects=[Project(**_fields(details)) for details in found])


@route("GET /api/projects/<int:project_id>", access.reads)
def get_project(project_id: int) -> ProjectDetail:
    """One project, with its figures.

    :raise 404: there is none with this id.
    """
    return _detail(project_id)


@route("POST /api/projects", access.writes, status=201)
def post_project(body: NewProject) -> ProjectDetail:
    """Make a project with a key.

    :raise 409: its id or key is taken.
    """
    change = cast(Change, body.model_dump(exclude={"id", "key"}, exclude_unset=True))
    return _detail(register_project(current_store(), current_config(), change, body.id, body.key))


@route("PATCH /api/projects/<int:project_id>", access.writes)
def patch_project(project_id: int, body: ProjectChange) -> ProjectDetail:
    """Change a project.

    The DSN of project 1 is a setting.

    :raise 404: there is no such project.
    """
    amend(current_store(), current_config(), project_id, cast(Change, body.changes()))
    return _detail(project_id)


@route("POST /api/projects/<int:project_id>/keys", access.writes, status=201)
def post_key(project_id: int, body: NewKey) -> ProjectKey:
    """Make another key.

    The old ones work until they are revoked.

    :raise 404: there is no such project. :raise 409: the key is taken.
    """
    key = rotate_key(current_store(), project_id, body.key, revoke=body.revoke)
    dsn = dsn_of(current_config().public_url, project_id, key)
    return ProjectKey(project_id=project_id, public_key=key, dsn=dsn)


@route("DELETE /api/projects/<int:project_id>/keys/<public_key>", access.writes)
def delete_key(project_id: int, public_key: str) -> ProjectDetail:
    """Revoke a key.

    The answer has those that still work.

    :raise 404: the project has no such key that works.
    """
    revoke_key(current_store(), project_id, public_key)
    return _detail(project_id)


def _detail(project_id: int) -> ProjectDetail:
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
    return ProjectDetail(**_fields(details), **figures)


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
