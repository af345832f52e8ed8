"""Projects: the tenants that events belong to, their keys and their quotas.

records.py   the rows of projects and keys: create, find, rename, rotate
ending.py    archive, restore and delete a project
quotas.py    how many envelopes a project may send in a minute
"""

from app.projects.ending import (
    OwnProjectStays,
    archive_project,
    delete_project,
    restore_project,
)
from app.projects.records import (
    MAX_PROJECT_ID,
    OWN_PROJECT_ID,
    KeyRing,
    NoSuchProject,
    Project,
    ProjectError,
    Taken,
    add_project,
    checked_name,
    closed_projects,
    create_project,
    dsn_of,
    find_project,
    list_projects,
    project_of_key,
    quota_of,
    rename_project,
    revoke_key,
    rotate_key,
)
from app.projects.tables import MAX_NAME_LENGTH, projects

__all__ = [
    "MAX_NAME_LENGTH",
    "MAX_PROJECT_ID",
    "OWN_PROJECT_ID",
    "OwnProjectStays",
    "KeyRing",
    "NoSuchProject",
    "Project",
    "ProjectError",
    "Taken",
    "add_project",
    "archive_project",
    "checked_name",
    "closed_projects",
    "create_project",
    "delete_project",
    "dsn_of",
    "find_project",
    "list_projects",
    "project_of_key",
    "projects",
    "quota_of",
    "rename_project",
    "restore_project",
    "revoke_key",
    "rotate_key",
]
