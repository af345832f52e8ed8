"""Projects: list, read, make and change them, and make and revoke their keys.

The DSN of an upstream and the token of its API can be written but not read: answers contain only
their hosts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.confirmation.apis import Api, access_of
from app.delivery.destinations import Destination
from app.delivery.upstreams import reach
from app.inputs import Body
from app.intake.refusals import refused_by_reason
from app.project_service.changing import amend, register_project
from app.project_service.details import ProjectDetails, find_details, list_details
from app.project_service.inputs import Name, ProjectChange
from app.projects import (
    MAX_PROJECT_ID,
    archive_project,
    delete_project,
    dsn_of,
    restore_project,
    revoke_key,
    rotate_key,
)
from app.store import utc_now
from app.web import access, token_projects
from app.web.current import current_config, current_destinations, current_store

Key = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
route = Routes("projects")


class ProjectDelivery(ApiModel):
    """The delivery of a project to Sentry; `waiting` and `parked` count envelopes."""

    state: Literal["none", "paused", "open", "limited", "failing", "closed"]
    cause: str | None
    waiting: int
    parked: int


class Project(ApiModel):
    """A project; `dsn` contains its newest key, `keys` are all keys that are not revoked.

    `upstream_api` says whether a token of Sentry's API is stored, `upstream_api_host` which host
    it is sent to. An archived project accepts nothing.
    """

    id: int
    name: str
    dsn: str | None
    upstream: bool
    upstream_host: str | None
    upstream_api: bool
    upstream_api_host: str | None
    upstream_api_url: str | None
    upstream_org: str | None
    keys: list[str]
    created_at: datetime
    events_per_minute: int | None
    retention_days: int | None
    source_url: str | None
    archived_at: datetime | None
    delivery: ProjectDelivery


class ProjectDetail(Project):
    """A project with its figures.

    `refused_by_quota` counts refused envelopes; `refused` counts them by reason.
    """

    events: int
    issues: int
    first_seen: datetime | None
    last_seen: datetime | None
    refused_by_quota: int
    refused: dict[str, int]


class DeletedProject(ApiModel):
    """The id of a project that was deleted."""

    id: int


class ProjectKey(ApiModel):
    """A new key, and the DSN with this key."""

    project_id: int
    public_key: str
    dsn: str


class ProjectList(ApiModel):
    """All projects; project 1 is this application itself."""

    projects: list[Project]


class NewProject(ProjectChange):
    """A new project."""

    name: Name
    id: Annotated[int, Field(ge=1, le=MAX_PROJECT_ID)] | None = None
    key: Key | None = None


class NewKey(Body):
    """A new key; `key` sets its value, `revoke` revokes all older keys of the project."""

    key: Key | None = None
    revoke: bool = False


@route("GET /api/projects", access.reads)
def get_projects() -> ProjectList:
    """List all projects; for a token of some projects, these."""
    allowed = token_projects.allowed_projects()
    with current_store().read() as conn:
        found = list_details(conn, current_destinations())
    shown = [one for one in found if allowed is None or one.project.id in allowed]
    return ProjectList(projects=[_project(details) for details in shown])


@route("GET /api/projects/<int:project_id>", access.reads)
def get_project(project_id: int) -> ProjectDetail:
    """Return a project with its figures.

    :raise 404: no project has this id.
    """
    return _detail(project_id)


@route("POST /api/projects", access.writes, status=201)
def post_project(body: NewProject) -> ProjectDetail:
    """Make a project with a key.

    :raise 409: its id or key is taken.
    """
    change = body.model_dump(exclude={"id", "key"}, exclude_unset=True)
    return _detail(register_project(current_store(), current_config(), change, body.id, body.key))


@route("PATCH /api/projects/<int:project_id>", access.writes)
def patch_project(project_id: int, body: ProjectChange) -> ProjectDetail:
    """Change a project.

    The upstream DSN of project 1 is a setting and cannot be changed here.

    :raise 404: there is no such project.
    """
    amend(current_store(), current_config(), project_id, body.changes())
    return _detail(project_id)


@route("POST /api/projects/<int:project_id>/archive", access.writes)
def post_archive(project_id: int) -> ProjectDetail:
    """Archive a project: its keys get 403, and alert rules do not look at it.

    What it has stays, is still forwarded and can be read.

    :raise 404: there is no such project. :raise 409: it is project 1.
    """
    archive_project(current_store(), project_id)
    return _detail(project_id)


@route("POST /api/projects/<int:project_id>/restore", access.writes)
def post_restore(project_id: int) -> ProjectDetail:
    """Let an archived project accept events again.

    :raise 404: there is no such project.
    """
    restore_project(current_store(), project_id)
    return _detail(project_id)


@route("DELETE /api/projects/<int:project_id>", access.writes, status=202)
def remove_project(project_id: int) -> DeletedProject:
    """Delete a project with all its events, issues, figures, rules and keys.

    It disappears at once; its data is removed in the background. What still waits for Sentry is
    discarded.

    :raise 404: there is no such project. :raise 409: it is project 1.
    """
    delete_project(current_store(), project_id)
    return DeletedProject(id=project_id)


@route("POST /api/projects/<int:project_id>/keys", access.writes, status=201)
def post_key(project_id: int, body: NewKey) -> ProjectKey:
    """Make another key of a project.

    Older keys work until they are revoked.

    :raise 404: there is no such project. :raise 409: the key is taken.
    """
    key = rotate_key(current_store(), project_id, body.key, revoke=body.revoke)
    dsn = dsn_of(current_config().public_url, project_id, key)
    return ProjectKey(project_id=project_id, public_key=key, dsn=dsn)


@route("DELETE /api/projects/<int:project_id>/keys/<public_key>", access.writes)
def delete_key(project_id: int, public_key: str) -> ProjectDetail:
    """Revoke a key of a project.

    The answer contains the keys that still work.

    :raise 404: the project has no such key, or it is revoked already.
    """
    revoke_key(current_store(), project_id, public_key)
    return _detail(project_id)


def _detail(project_id: int) -> ProjectDetail:
    with current_store().read() as conn:
        details = find_details(conn, current_destinations(), project_id)
        refused = {row.reason: row.count for row in refused_by_reason(conn, project_id)}
    project, figures = vars(_project(details)), details.figures
    return ProjectDetail.of(figures, **project, refused_by_quota=figures.refused, refused=refused)


def _project(details: ProjectDetails) -> Project:
    project, destination = details.project, details.destination
    dsns = [dsn_of(current_config().public_url, project.id, key) for key in project.keys]
    state, cause = reach(destination, utc_now()), destination.cause
    return Project.of(
        project,
        dsn=dsns[-1] if dsns else None,
        upstream=destination.dsn is not None,
        upstream_host=destination.host,
        upstream_api=destination.api.token is not None,
        upstream_api_host=_api_host(destination),
        upstream_api_url=destination.api.url,
        upstream_org=destination.api.org,
        delivery=ProjectDelivery.of(details.held, state=state, cause=cause),
    )


def _api_host(destination: Destination) -> str | None:
    api = access_of(destination, current_destinations()) if destination.api.token else None
    return api.address.origin if isinstance(api, Api) else None
