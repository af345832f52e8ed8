"""Create or change a project with its destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, update

from app.accounts import audit
from app.confirmation.apis import keeps_token
from app.delivery.destinations import Destination, Destinations, set_api, set_dsn
from app.project_service.checking import checked_change
from app.projects import OWN_PROJECT_ID, ProjectError, add_project, find_project, projects
from app.store import Store
from config import Config

# The fields of :class:`~app.delivery.destinations.ApiSettings`.
_OF_API = {
    "upstream_api_token": "token",
    "upstream_api_url": "url",
    "upstream_org": "org",
}
_COLUMNS = ("name", "events_per_minute", "retention_days", "source_url")


def register_project(
    store: Store,
    config: Config,
    change: Mapping[str, Any],
    project_id: int | None = None,
    key: str | None = None,
) -> int:
    """Create a project and return its id.

    :param change: fields of :class:`~app.project_service.inputs.ProjectChange`, at least ``name``.
    :param project_id: by default the next free id.
    :param key: by default a new key.
    :raise Taken: the id or the key is in use. :raise ProjectError: a field is wrong; the error
        names it.
    """
    checked = checked_change(config, change)
    with store.write() as conn:
        made = add_project(conn, checked["name"], project_id, key)
        _write(conn, made, checked)
    return made


def amend(store: Store, config: Config, project_id: int, change: Mapping[str, Any]) -> None:
    """Change a project.

    :param change: fields of :class:`~app.project_service.inputs.ProjectChange`.
    :raise NoSuchProject: the project does not exist. :raise ProjectError: a field is wrong; the
        error names it.
    """
    checked = checked_change(config, change)
    with store.write() as conn:
        find_project(conn, project_id)
        _write(conn, project_id, checked)
        audit.note(conn, "project_changed", f"project {project_id}", ", ".join(sorted(checked)))


def _write(conn: Connection, project_id: int, change: Mapping[str, Any]) -> None:
    values = {name: value for name, value in change.items() if name in _COLUMNS}
    if values:
        conn.execute(update(projects).where(projects.c.id == project_id).values(values))
    before = Destinations().find(conn, project_id)
    if "upstream_dsn" in change:
        if project_id == OWN_PROJECT_ID:
            text = "the DSN of project 1, this application, is the setting SENTRY_DSN"
            raise ProjectError(text, "upstream_dsn")
        if change["upstream_dsn"] and find_project(conn, project_id).is_demo:
            raise ProjectError("a demo project is never forwarded", "upstream_dsn")
        set_dsn(conn, project_id, change["upstream_dsn"])
    _write_api(conn, project_id, before, change)


def _write_api(
    conn: Connection, project_id: int, before: Destination, change: Mapping[str, Any]
) -> None:
    """Write by which API of Sentry a project's events are confirmed."""
    given = {name: change[field] for field, name in _OF_API.items() if field in change}
    if project_id == OWN_PROJECT_ID:
        if given:
            field = next(field for field in _OF_API if field in change)
            text = "the API of project 1, this application, is the setting SENTRY_API_TOKEN"
            raise ProjectError(text, field)
        return
    api = replace(before.api, **given)
    after = replace(before, dsn=change.get("upstream_dsn", before.dsn), api=api)
    if "token" not in given and not keeps_token(before, after):
        api = replace(api, token=None)
    if api != before.api:
        set_api(conn, project_id, api)
