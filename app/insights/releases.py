"""Figures of releases: first seen, new issues, affected users, and how their sessions ended.

The release *before* another one is the release of the same project that became known immediately
before it: by the time it was first seen or announced, whichever was earlier. Versions are not
compared.

Sessions are those of the last 14 days, and the share of a release is that of the last 24 hours,
unless a range is given: then both are of the range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """The release cannot be announced. The text says why."""


class ReleaseFigures(NamedTuple):
    """A release and its figures.

    :param users: the number of users affected by its errors. At ``MAX_USERS`` it means "at least".
    :param share: its share of the project's sessions in the last 24 hours or in the range, 0 to 1;
        ``None`` if the project had no sessions.
    :param before: the release before it, ``None`` for the first one.
    :param health_before: the health of the release before it.
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
        """The difference of the shares of crash-free sessions to the release before, -1 to 1."""
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
    """Return releases of a project, newest first.

    :param before: return only releases with a smaller id than this.
    """
    query = select(releases).where(releases.c.project_id == project_id)
    if version is not None:
        query = query.where(releases.c.version == version)
    if before is not None:
        query = query.where(releases.c.id < before)
    return list(conn.execute(query.order_by(releases.c.id.desc()).limit(limit)))


def newest_releases(
    conn: Connection, project_id: int | None, limit: int = 20
) -> list[tuple[datetime, str]]:
    """Return when the newest releases were first seen, and their versions.

    :param project_id: ``None`` for those of all projects but the demo projects.
    """
    columns = releases.c
    query = select(columns.first_seen, columns.version).where(columns.first_seen.is_not(None))
    if project_id is not None:
        query = query.where(columns.project_id == project_id)
    else:
        of_demo = select(projects.c.id).where(projects.c.is_demo)
        query = query.where(columns.project_id.not_in(of_demo))
    newest = query.order_by(columns.id.desc()).limit(limit)
    return [(row.first_seen, row.version) for row in conn.execute(newest)]


def count_releases(conn: Connection, project_id: int) -> int:
    """Return the number of a project's releases. It is limited."""
    of_project = releases.c.project_id == project_id
    return conn.scalar(select(func.count()).select_from(releases).where(of_project)) or 0


def find_release(conn: Connection, release_id: int) -> Row[Any] | None:
    """Return one release by its id, ``None`` if there is no such release."""
    if not 0 < release_id < 2**31:
        return None
    return conn.execute(select(releases).where(releases.c.id == release_id)).first()


def figures_of(
    conn: Connection,
    rows: Sequence[Row[Any]],
    now: datetime,
    environment: str | None = None,
    window: tuple[datetime, datetime] | None = None,
) -> list[ReleaseFigures]:
    """Return the figures of consecutive releases of one project, newest first.

    :param environment: filters sessions. Issues and users are those of all environments.
    :param window: the range of the sessions, ``since`` and ``until``.
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
    # Include the current minute: a person who sends a first session looks for it at once.
    until = now + timedelta(minutes=1)
    since, until = window or (now - HEALTH_OF, until)
    lately = Selection(project_id, since, until, environment=environment)
    health = health_by_release(conn, lately)
    recent: Mapping[str, Counts | Health] = health
    if window is None:
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
    """Return pairs of a day, counted since 1970, and its number of users. The last one is today."""
    today = day_number(now)
    first = today - days + 1
    found = users_by_day(conn, subject, first, today)
    return list(enumerate(found, first))


def subject_of(row: Row[Any]) -> Subject:
    """Return the subject under which a release's users are counted."""
    return Subject(RELEASE, row.id)


def announce(
    conn: Connection, project_id: int, version: str, actor: str | None, now: datetime
) -> tuple[Row[Any], bool]:
    """Store a release before an event or anything else names it. The caller commits.

    :param actor: the name of a user or of a token.
    :return: the release, and whether it is new.
    :raise ReleaseError: there is no such project, or the version is not valid.
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
