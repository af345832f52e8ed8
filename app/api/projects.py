"""Projects: the list and one, with what a program needs to report to it; made, changed, keyed.

The DSN of an upstream can be written and not read: an answer tells its host.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from pydantic import Field

from app.api.errors import answer_with
from app.api.requests import Body, PatchBody, unchanged
from app.api.routes import Routes
from app.api.schemas import ApiModel
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


class ProjectDelivery(ApiModel):
    """How a project's way to Sentry is; `waiting` and `parked` count envelopes that are here."""

    state: Literal["none", "paused", "open", "limited", "failing", "closed"]
    cause: str | None
    waiting: int
    parked: int


class Project(ApiModel):
    """A program that reports here; `dsn` has its newest key, `keys` are all that work."""

    id: int
    name: str
    dsn: str | None
    upstream: bool
    upstream_host: str | None
    keys: list[str]
    created_at: datetime
    events_per_minute: int | None
    retention_days: int | None
    delivery: ProjectDelivery


class ProjectDetail(Project):
    """A project with its figures; `refused_by_quota` counts envelopes, and so does `refused`, by
    reason.
    """

    events: int
    issues: int
    first_seen: datetime | None
    last_seen: datetime | None
    refused_by_quota: int
    refused: dict[str, int]


class ProjectKey(ApiModel):
    """A key that was made, and the DSN with it."""

    project_id: int
    public_key: str
    dsn: str


class ProjectList(ApiModel):
    """All projects; project 1 is this application itself."""

    projects: list[Project]


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
    return ProjectList(projects=[_project(details) for details in found])


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
        delivery=ProjectDelivery.of(details.held, state=state, cause=cause),
    )
