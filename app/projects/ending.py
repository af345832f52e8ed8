"""Archive a project, restore it, or delete it.

An **archived** project accepts nothing: its keys get 403, and no alert rule looks at it. What it
has stays, is still forwarded and can be read. It can be restored.

A **deleted** project disappears at once. :mod:`app.intake.removed_projects` then removes its data
in batches. Its row stays without a name, so that its id is never used again: an old DSN or link
must not lead to somebody else's project.

Packages that depend on this one follow such a change in its transaction (:func:`when_changed`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, update

from app.accounts import audit
from app.inputs import Conflict
from app.projects.records import OWN_PROJECT_ID, Project, ProjectError, find_project
from app.projects.tables import projects
from app.store import Store, utc_now

ARCHIVED, RESTORED, DELETED = "project_archived", "project_restored", "project_deleted"
# Called before the row of the project changes, with one of these words.
Follow = Callable[[Connection, Project, str, datetime], None]

_followers: list[Follow] = []


def when_changed(follow: Follow) -> Follow:
    """Register a function to be called when a project is archived, restored or deleted."""
    _followers.append(follow)
    return follow


class OwnProjectStays(ProjectError, Conflict):
    """Project 1 is this application: it is neither archived nor deleted."""


def archive_project(store: Store, project_id: int) -> None:
    """Archive a project. Every process refuses its keys within a second.

    :raise NoSuchProject: the project does not exist. :raise OwnProjectStays: it is project 1.
    """
    _set(store, project_id, ARCHIVED)


def restore_project(store: Store, project_id: int) -> None:
    """Let an archived project accept events again.

    :raise NoSuchProject: the project does not exist.
    """
    _set(store, project_id, RESTORED)


def delete_project(store: Store, project_id: int) -> None:
    """Delete a project with all its data. The data is removed soon, in the background.

    :raise NoSuchProject: the project does not exist. :raise OwnProjectStays: it is project 1.
    """
    _set(store, project_id, DELETED)


def _set(store: Store, project_id: int, action: str) -> None:
    if project_id == OWN_PROJECT_ID and action != RESTORED:
        raise OwnProjectStays("project 1 is this application: it cannot be archived or deleted")
    now = utc_now()
    values: dict[str, dict[str, datetime | None]] = {
        ARCHIVED: {"archived_at": now},
        RESTORED: {"archived_at": None},
        DELETED: {"deleted_at": now},
    }
    with store.write() as conn:
        project = find_project(conn, project_id)
        # To restore or to archive once more changes nothing but the time.
        if action == DELETED or (action == ARCHIVED) == (project.archived_at is None):
            for follow in _followers:
                follow(conn, project, action, now)
        row = update(projects).where(projects.c.id == project_id)
        conn.execute(row.values(values[action]))
        audit.note(conn, action, f"project {project_id}", project.name)
