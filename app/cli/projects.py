"""The `flask project` commands: projects, their keys, destinations, quotas and retention."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask.cli import AppGroup

from app.intake.removed_projects import remove_project_data
from app.output import say, usage_error
from app.project_service.changing import amend
from app.project_service.details import ProjectDetails, find_details, list_details
from app.projects import (
    ProjectError,
    archive_project,
    create_project,
    delete_project,
    dsn_of,
    quota_of,
    rename_project,
    restore_project,
    revoke_key,
    rotate_key,
)
from app.web.current import current_config, current_destinations, current_store

project_group = AppGroup("project", help="Programs that report here, and their keys.")


@contextmanager
def _project_errors() -> Iterator[None]:
    try:
        yield
    except ProjectError as error:
        raise usage_error(str(error)) from error


def _show(project_id: int) -> None:
    with current_store().read() as conn:
        _show_project(find_details(conn, current_destinations(), project_id))


def _show_project(project_details: ProjectDetails) -> None:
    project = project_details.project
    say(f"{project.id}  {project.name}{', archived' if project.archived_at else ''}")
    for key in project.keys:
        say(f"    {dsn_of(current_config().public_url, project.id, key)}")
    if project_details.destination.host:
        say(f"    sent on to {project_details.destination.host}")
    default = current_config().DEFAULT_EVENTS_PER_MINUTE
    if quota := quota_of(project.id, project.events_per_minute, default):
        by_default = ", by default" if project.events_per_minute is None else ""
        say(f"    at most {quota} events a minute{by_default}")
    if project.retention_days is not None:
        days = f"kept for {project.retention_days} days" if project.retention_days else "kept"
        say(f"    {days}, whatever RETENTION_DAYS says")


def _amend(project_id: int, change: dict[str, Any]) -> None:
    with _project_errors():
        amend(current_store(), current_config(), project_id, change)
    _show(project_id)


@project_group.command("create")
@click.argument("name")
@click.option("--id", "project_id", type=int, help="By default the next one that is free.")
@click.option("--key", help="A key to take over, by default a new one.")
def create_project_command(name: str, project_id: int | None, key: str | None) -> None:
    """Create a project and print the DSN for its program."""
    with _project_errors():
        project = create_project(current_store(), name, project_id, key)
    _show(project.id)


@project_group.command("list")
def list_projects_command() -> None:
    """Print the projects, their valid DSNs, and the destinations of their events."""
    with current_store().read() as conn:
        found = list_details(conn, current_destinations())
    for project in found:
        _show_project(project)


@project_group.command("rename")
@click.argument("project_id", type=int)
@click.argument("name")
def rename_project_command(project_id: int, name: str) -> None:
    """Give a project another name."""
    with _project_errors():
        rename_project(current_store(), project_id, name)
    say(f"project {project_id} is renamed")


@project_group.command("archive")
@click.argument("project_id", type=int)
def archive_project_command(project_id: int) -> None:
    """Archive a project: its keys get 403, and what it has can still be read."""
    with _project_errors():
        archive_project(current_store(), project_id)
    say(f"project {project_id} is archived; flask project restore {project_id} takes it back")


@project_group.command("restore")
@click.argument("project_id", type=int)
def restore_project_command(project_id: int) -> None:
    """Let an archived project accept events again."""
    with _project_errors():
        restore_project(current_store(), project_id)
    say(f"project {project_id} accepts events")


@project_group.command("delete")
@click.argument("project_id", type=int)
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete_project_command(project_id: int, yes: bool) -> None:
    """Delete a project with all its data. What still waits for Sentry is discarded."""
    store, destinations = current_store(), current_destinations()
    with _project_errors():
        with store.read() as conn:
            details = find_details(conn, destinations, project_id)
        if not yes:
            say(f"{details.project.name}: {details.contents}. All of it is removed.")
            click.confirm("Delete the project?", abort=True)
        delete_project(store, project_id)
    with click.progressbar(length=details.figures.events, label="Removing events") as bar:
        while not remove_project_data(store, destinations, project_id, bar.update):
            pass
    say(f"project {project_id} is deleted")


@project_group.command("rotate")
@click.argument("project_id", type=int)
@click.option("--key", help="A key to take over, by default a new one.")
@click.option("--revoke", is_flag=True, help="The keys before it stop working.")
def rotate_key_command(project_id: int, key: str | None, revoke: bool) -> None:
    """Add a new key and print its DSN; the old keys work until they are revoked."""
    with _project_errors():
        key = rotate_key(current_store(), project_id, key, revoke=revoke)
    say(dsn_of(current_config().public_url, project_id, key))


@project_group.command("revoke")
@click.argument("project_id", type=int)
@click.argument("key")
def revoke_key_command(project_id: int, key: str) -> None:
    """Revoke a key, so that it stops working."""
    with _project_errors():
        revoke_key(current_store(), project_id, key)
    say(f"the key {key} is revoked")


@project_group.command("upstream")
@click.argument("project_id", type=int)
@click.argument("dsn", required=False)
@click.option("--none", "nowhere", is_flag=True, help="Stop forwarding.")
def set_upstream_command(project_id: int, dsn: str | None, nowhere: bool) -> None:
    """Forward the events of a project to the DSN of a Sentry project.

    Without DSN, the command asks for it, so that the history of your shell does not contain it. The
    DSN is stored and never shown again. The DSN of project 1, this application, is the setting
    SENTRY_DSN.
    """
    if nowhere and dsn:
        raise usage_error("either a DSN or --none")
    if not nowhere and dsn is None:
        dsn = click.prompt("DSN", hide_input=True)
    _amend(project_id, {"upstream_dsn": None if nowhere else dsn})


@project_group.command("quota")
@click.argument("project_id", type=int)
@click.argument("events_per_minute", type=int, required=False)
@click.option("--default", "is_default", is_flag=True, help="As DEFAULT_EVENTS_PER_MINUTE says.")
def set_quota_command(project_id: int, events_per_minute: int | None, is_default: bool) -> None:
    """Set how many events a project may send in a minute; 0 for no limit.

    Envelopes above the quota get 429 with `Retry-After` and `X-Sentry-Rate-Limits` and are not
    stored. Client reports, sessions and check-ins are not limited.
    """
    if is_default == (events_per_minute is not None):
        raise usage_error("either a number or --default")
    _amend(project_id, {"events_per_minute": events_per_minute})


@project_group.command("retention")
@click.argument("project_id", type=int)
@click.argument("days", type=int, required=False)
def set_retention_command(project_id: int, days: int | None) -> None:
    """Set how many days the events of a project are kept; 0 for no limit.

    Without DAYS, the setting RETENTION_DAYS applies again.
    """
    _amend(project_id, {"retention_days": days})
