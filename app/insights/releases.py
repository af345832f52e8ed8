"""Releases as a person looks at them: since when, what they brought, how their sessions ended.

The release *before* another one is that which became known next before it, in the same project:
by when they were seen first or announced, whichever was earlier. Versions are not compared.

Sessions are those of the last 14 days; the share of a release is that of the last 24 hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, case, func, select, update

from app.inputs import InputError
from app.insights.health import Counts, Health, Selection, health_by_release, sessions_by_release
from app.issues.by_release import IssueCounts, counts_by_release
from app.issues.triage import resolve_awaiting
from app.projects import projects
from app.protocol.event import clean_text
from app.stats.releases import Release, make
from app.stats.tables import VERSION_LENGTH, releases
from app.stats.users import RELEASE, Subject, day_number, users_by_day, users_of_releases

HEALTH_OF = timedelta(days=14)
SHARE_OF = timedelta(days=1)
# Days that a page draws.
DAYS = 30


class ReleaseError(InputError):
    """A release that cannot be announced as it was asked for."""


class ReleaseFigures(NamedTuple):
    """A release and its figures.

    :param users: who met an error of it; beyond ``MAX_USERS`` there are more.
    :param before: the release before it, ``None`` for the first one; with its own health.
    :param share: of the project's sessions in the last 24 hours, 0 to 1; ``None`` without any.
    """

    row: Row[Any]
    issues: IssueCounts
    users: int
    health: Health
    share: float | None
    before: Row[Any] | None
    health_before: Health

    @property
    def change(self) -> float | None:
        """How much larger the share of crash-free sessions is than before, -1 to 1."""
        now, before = self.health.crash_free_sessions, self.health_before.crash_free_sessions
        return None if now is None or before is None else now - before


def list_releases(
    conn: Connection,
    project_id: int,
    *,
    version: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Row[Any]]:
    """Return releases of a project, the newest first.

    :param before: the number after which the page goes on, exclusive.
    """
    query = select(releases).where(releases.c.project_id == project_id)
    if version is not None:
        query = query.where(releases.c.version == version)
    if before is not None:
        query = query.where(releases.c.id < before)
    return list(conn.execute(query.order_by(releases.c.id.desc()).limit(limit)))


def count_releases(conn: Connection, project_id: int) -> int:
    """Return how many a project has; there is a bound."""
    of_project = releases.c.project_id == project_id
    return conn.scalar(select(func.count()).select_from(releases).where(of_project)) or 0


def find_release(conn: Connection, release_id: int) -> Row[Any] | None:
    """Return one by its number, ``None`` when it is not there."""
    if not 0 < release_id < 2**31:
        return None
    return conn.execute(select(releases).where(releases.c.id == release_id)).first()


def figures_of(
    conn: Connection,
    rows: Sequence[Row[Any]],
    now: datetime,
    environment: str | None = None,
) -> list[ReleaseFigures]:
    """Return the figures of releases of one project that follow each other, the newest first.

    :param environment: narrows sessions; issues and users are those of all.
    """
    if not rows:
        return []
    project_id = rows[0].project_id
    older: list[Row[Any] | None] = [
        *rows[1:],
        *list_releases(conn, project_id, before=rows[-1].id, limit=1),
        None,
    ]
    counts = counts_by_release(conn, project_id, [row.version for row in rows])
    users = users_of_releases(conn, [row.id for row in rows])
    # The minute that runs counts, too: who sends a first session looks for it at once.
    until = now + timedelta(minutes=1)
    lately = Selection(project_id, now - HEALTH_OF, until, environment=environment)
    health = health_by_release(conn, lately)
    recent = sessions_by_release(conn, replace(lately, since=now - SHARE_OF))
    total = sum(one.sessions for one in recent.values())
    return [
        ReleaseFigures(
            row=row,
            issues=counts[row.version],
            users=users.get(row.id, 0),
            health=health.get(row.version, Health()),
            share=recent.get(row.version, Counts()).sessions / total if total else None,
            before=before,
            health_before=health.get(before.version, Health()) if before else Health(),
        )
        for row, before in zip(rows, older, strict=False)
    ]


def users_of_days(
    conn: Connection, subject: Subject, now: datetime, days: int = DAYS
) -> list[tuple[int, int]]:
    """Return the last days, today the last of them, each with its users; days since 1970."""
    today = day_number(now)
    first = today - days + 1
    found = users_by_day(conn, subject, first, today)
    return list(enumerate(found, first))


def subject_of(row: Row[Any]) -> Subject:
    """Return what a release's users are counted by."""
    return Subject(RELEASE, row.id)


def announce(
    conn: Connection, project_id: int, version: str, actor: str | None, now: datetime
) -> tuple[Row[Any], bool]:
    """Make a release known before it is heard of; the caller commits.

    :param actor: a user's or a token's name.
    :return: the release, and whether it was unknown.
    :raise ReleaseError: there is no such project, or no such version could ever be heard of.
    """
    version = _checked(version)
    if conn.execute(select(projects.c.id).where(projects.c.id == project_id)).first() is None:
        raise ReleaseError(f"there is no project {project_id}", "project_id")
    release, by = Release(project_id, version), actor and actor[:200]
    of_this = releases.c.project_id == project_id, releases.c.version == version
    is_first = releases.c.announced_at.is_(None)
    # The first announcement stays.
    known = (
        update(releases)
        .where(*of_this)
        .values(
            announced_by=case((is_first, by), else_=releases.c.announced_by),
            announced_at=func.coalesce(releases.c.announced_at, now),
        )
        .returning(*releases.c)
    )
    found = conn.execute(known).first()
    if found is not None:
        return found, False
    resolve_awaiting(conn, make(conn, [release], announced_at=now, announced_by=by))
    return conn.execute(select(releases).where(*of_this)).one(), True


def _checked(version: str) -> str:
    if clean_text(version) != version or not version.isprintable():
        raise ReleaseError("a version without control characters is expected", "version")
    version = version.strip()
    if not version or len(version) > VERSION_LENGTH:
        raise ReleaseError(f"a version of 1 to {VERSION_LENGTH} characters is expected", "version")
    return version
