"""Archive a project, restore it, or delete it.

An **archived** project accepts nothing: its keys get 403, and no alert rule looks at it. What it
has stays, is still forwarded and can be read. It can be restored.

A **deleted** project disappears at once. :mod:`app.intake.removed_projects` then removes its data
in batches. Its row stays without a name, so that its id is never used again: an old DSN or link
must not lead to somebody else's project.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update

from app.accounts import audit
from app.inputs import Conflict
from app.projects.records import OWN_PROJECT_ID, ProjectError, find_project
from app.projects.tables import projects
from app.store import Store, utc_now


class OwnProjectStays(ProjectError, Conflict):
    """Project 1 is this application: it is neither archived nor deleted."""


def archive_project(store: Store, project_id: int) -> None:
    """Archive a project. Every process refuses its keys within a second.

    :raise NoSuchProject: the project does not exist. :raise OwnProjectStays: it is project 1.
    """
    _set(store, project_id, "project_archived", archived_at=utc_now())


def restore_project(store: Store, project_id: int) -> None:
    """Let an archived project accept events again.

    :raise NoSuchProject: the project does not exist.
    """
    _set(store, project_id, "project_restored", archived_at=None)


def delete_project(store: Store, project_id: int) -> None:
    """Delete a project with all its data. The data is removed soon, in the background.

    :raise NoSuchProject: the project does not exist. :raise OwnProjectStays: it is project 1.
    """
    _set(store, project_id, "project_deleted", deleted_at=utc_now())


def _set(store: Store, project_id: int, action: str, **values: datetime | None) -> None:
    if project_id == OWN_PROJECT_ID and any(values.values()):
        raise OwnProjectStays("project 1 is this application: it cannot be archived or deleted")
    with store.write() as conn:
        name = find_project(conn, project_id).name
        conn.execute(update(projects).where(projects.c.id == project_id).values(**values))
        audit.note(conn, action, f"project {project_id}", name)
