"""Releases: which there are, what each brought, how its sessions ended."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask import abort
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field

from app.api import bp
from app.api.events import Limit
from app.api.issues import day_shapes
from app.api.openapi import Operation, answer, describe
from app.api.requests import Body, Query, read_body, read_query
from app.api.schemas import DayUsers
from app.insights.releases import (
    ReleaseError,
    ReleaseFigures,
    announce,
    count_releases,
    figures_of,
    find_release,
    list_releases,
    subject_of,
    users_of_days,
)
from app.projects import OWN_PROJECT_ID
from app.protocol.event import clean_text
from app.store import utc_now
from app.web import access
from app.web.current import current_store
from app.web.errors import FieldErrors

UNKNOWN = "no release has this id"

ProjectId = Annotated[int, Field(ge=1, lt=2**31)]
Version = Annotated[str, Field(min_length=1, max_length=250)]
Environment = Annotated[str, Field(max_length=200, description="Narrows sessions alone.")]


class Release(BaseModel):
    """A release; what sessions tell is of the last 14 days, null where there were none.

    `first_seen` and `last_seen` say when something of it was received, and are null while it is
    only announced; the latter is a minute off at most. `new_issues` had their first event in it,
    `regressed_issues` came back in it, `resolved_issues` are resolved in it.
    """

    id: int
    project_id: int
    version: str
    first_seen: datetime | None
    last_seen: datetime | None
    announced_at: datetime | None
    announced_by: str | None
    new_issues: int
    regressed_issues: int
    resolved_issues: int
    users: int = Field(
        description="Who met an error of it; exact up to 10,000, more say only that there are more."
    )
    sessions: int
    crash_free_sessions: float | None = Field(description="From 0 to 1.")
    crash_free_users: float | None = Field(description="From 0 to 1.")
    share: float | None = Field(
        description="Of the project's sessions in the last 24 hours, from 0 to 1."
    )
    release_before: str | None = Field(description="That which became known before it.")
    crash_free_sessions_before: float | None = Field(description="Of that one, from 0 to 1.")


class ReleaseDetail(Release):
    """A release with its users by day, of the last 30."""

    users_by_day: list[DayUsers]


class ReleasePage(BaseModel):
    """A page of releases, the newest first."""

    releases: list[Release]
    next: str | None
    total: int = Field(description="Of the project; at most 1,000 are kept.")


class ReleaseQuery(Query):
    """Which releases."""

    limit: Limit = 50
    cursor: (
        Annotated[int, Field(ge=1, lt=2**31, description="`next` of the page before.")] | None
    ) = None
    project_id: ProjectId = OWN_PROJECT_ID
    version: Version | None = None
    environment: Environment | None = None


class OneReleaseQuery(Query):
    """Of which environment."""

    environment: Environment | None = None


class ReleaseBody(Body):
    """A release that is about to be deployed."""

    version: Version
    project_id: ProjectId = OWN_PROJECT_ID


@bp.get("/api/releases")
@access.reads
@describe(
    Operation(
        "Releases of a project, the newest first",
        {200: ReleasePage},
        query=ReleaseQuery,
        problems=(422, 503),
        tag="insights",
    )
)
def get_releases() -> ResponseReturnValue:
    """Return a page of releases, in the order in which they became known."""
    query = read_query(ReleaseQuery)
    version = query.version if query.version is None else clean_text(query.version)
    with current_store().read() as conn:
        rows = list_releases(
            conn, query.project_id, version=version, before=query.cursor, limit=query.limit + 1
        )
        found = figures_of(conn, rows[: query.limit], utc_now(), _clean(query.environment))
        total = count_releases(conn, query.project_id)
    more = str(rows[query.limit - 1].id) if len(rows) > query.limit else None
    page = [Release(**_values(release)) for release in found]
    return answer(ReleasePage(releases=page, next=more, total=total))


@bp.get("/api/releases/<int:release_id>")
@access.reads
@describe(
    Operation(
        "One release",
        {200: ReleaseDetail},
        query=OneReleaseQuery,
        problems=(404, 422, 503),
        tag="insights",
    )
)
def get_release(release_id: int) -> ResponseReturnValue:
    """Return one release; its id is found by ``/api/releases?version=``.

    :raise 404: no release has this id.
    """
    environment = _clean(read_query(OneReleaseQuery).environment)
    return answer(_detail(release_id, environment))


@bp.post("/api/releases")
@access.writes
@describe(
    Operation(
        "Announce a release",
        {200: ReleaseDetail, 201: ReleaseDetail},
        body=ReleaseBody,
        problems=(413, 415, 422, 503),
        tag="insights",
    )
)
def post_release() -> ResponseReturnValue:
    """Make a release known before its first event; 200 for one that is known already."""
    body, actor = read_body(ReleaseBody), access.caller()
    try:
        with current_store().write() as conn:
            row, is_new = announce(conn, body.project_id, body.version, actor, utc_now())
    except ReleaseError as error:
        raise FieldErrors([{"field": error.field, "message": str(error)}]) from None
    return answer(_detail(row.id), 201 if is_new else 200)


def _detail(release_id: int, environment: str | None = None) -> ReleaseDetail:
    now = utc_now()
    with current_store().read() as conn:
        row = find_release(conn, release_id)
        if row is None:
            abort(404, description=UNKNOWN)
        (figures,) = figures_of(conn, [row], now, environment)
        days = users_of_days(conn, subject_of(row), now)
    return ReleaseDetail(**_values(figures), users_by_day=day_shapes(days))


def _values(release_figures: ReleaseFigures) -> dict[str, Any]:
    return {
        **release_figures.row._mapping,
        **{f"{what}_issues": count for what, count in release_figures.issues._asdict().items()},
        "users": release_figures.users,
        "sessions": release_figures.health.sessions,
        "crash_free_sessions": release_figures.health.crash_free_sessions,
        "crash_free_users": release_figures.health.crash_free_users,
        "share": release_figures.share,
        "release_before": release_figures.before.version if release_figures.before else None,
        "crash_free_sessions_before": release_figures.health_before.crash_free_sessions,
    }


def _clean(environment: str | None) -> str | None:
    return clean_text(environment) if environment else None
