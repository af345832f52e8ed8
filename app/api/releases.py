"""Releases: the list with issues and session health of each, and announcing a release."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.api.issues import DayUsers, day_shapes
from app.api.requests import Limit, Query, first_page
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.inputs import Body, ProjectId
from app.insights.releases import (
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
from app.web.errors import or_404

UNKNOWN = "no release has this id"

Version = Annotated[str, Field(min_length=1, max_length=250)]
Environment = Annotated[str, Field(max_length=200, description="Narrows sessions alone.")]

route = Routes("insights")


class Release(ApiModel):
    """A release; figures of sessions are of the last 14 days, null if there were no sessions.

    `first_seen` and `last_seen` are the times at which data of the release was received first and
    last. Both are null while the release is only announced. `last_seen` is at most a minute off.
    `new_issues` counts issues whose first event was in this release, `regressed_issues` those that
    came back in it, and `resolved_issues` those that were resolved in it.
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
    """A release with its users on each of the last 30 days."""

    users_by_day: list[DayUsers]


class ReleasePage(ApiModel):
    """A page of releases, the newest first."""

    releases: list[Release]
    next: str | None
    total: int = Field(description="Of the project; at most 1,000 are kept.")


class ReleaseQuery(Query):
    """The releases to list."""

    limit: Limit = 50
    cursor: (
        Annotated[int, Field(ge=1, lt=2**31, description="`next` of the page before.")] | None
    ) = None
    project_id: ProjectId = OWN_PROJECT_ID
    version: Version | None = None
    environment: Environment | None = None


class OneReleaseQuery(Query):
    """The environment whose sessions are counted."""

    environment: Environment | None = None


class ReleaseBody(Body):
    """A release that is about to be deployed."""

    version: Version
    project_id: ProjectId = OWN_PROJECT_ID


@route("GET /api/releases", access.reads)
def get_releases(query: ReleaseQuery) -> ReleasePage:
    """List the releases of a project, the newest first.

    The newest release is the one that became known last.
    """
    version = query.version if query.version is None else clean_text(query.version)
    with current_store().read() as conn:
        rows = list_releases(
            conn, query.project_id, version=version, before=query.cursor, limit=query.limit + 1
        )
        page, more = first_page(rows, query.limit)
        found = figures_of(conn, page, utc_now(), _clean(query.environment))
        total = count_releases(conn, query.project_id)
    return ReleasePage(releases=[_release(release) for release in found], next=more, total=total)


@route("GET /api/releases/<int:release_id>", access.reads)
def get_release(release_id: int, query: OneReleaseQuery) -> ReleaseDetail:
    """Return a release.

    `/api/releases?version=` finds the id of a version.

    :raise 404: no release has this id.
    """
    return _detail(release_id, _clean(query.environment))


@route("POST /api/releases", access.writes, also=201)
def post_release(body: ReleaseBody) -> tuple[ReleaseDetail, int]:
    """Announce a release before its first event.

    The answer is 200 if the release is known already.
    """
    actor = access.caller()
    with current_store().write() as conn:
        row, is_new = announce(conn, body.project_id, body.version, actor, utc_now())
    return _detail(row.id), 201 if is_new else 200


def _detail(release_id: int, environment: str | None = None) -> ReleaseDetail:
    now = utc_now()
    with current_store().read() as conn:
        row = or_404(find_release(conn, release_id), UNKNOWN)
        (figures,) = figures_of(conn, [row], now, environment)
        days = users_of_days(conn, subject_of(row), now)
    return ReleaseDetail.of(_release(figures), users_by_day=day_shapes(days))


def _release(figures: ReleaseFigures) -> Release:
    return Release.of(
        figures.row,
        **{f"{what}_issues": count for what, count in figures.issues._asdict().items()},
        users=figures.users,
        sessions=figures.health.sessions,
        crash_free_sessions=figures.health.crash_free_sessions,
        crash_free_users=figures.health.crash_free_users,
        share=figures.share,
        release_before=figures.before.version if figures.before else None,
        crash_free_sessions_before=figures.health_before.crash_free_sessions,
    )


def _clean(environment: str | None) -> str | None:
    return clean_text(environment) if environment else None
