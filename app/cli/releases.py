"""The `flask release` commands: announce a release before its first event, and list releases."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.insights.releases import ReleaseError, ReleaseFigures, announce, figures_of, list_releases
from app.output import say, usage_error
from app.projects import OWN_PROJECT_ID
from app.store import utc_now
from app.web.current import current_store

release_group = AppGroup("release", help="Releases of the programs that report here.")
of_project = click.option(
    "--project",
    "project_id",
    type=click.IntRange(1, 2**31 - 1),
    default=OWN_PROJECT_ID,
    show_default=True,
    help="The id of its project.",
)


@release_group.command("create")
@click.argument("version")
@of_project
def create_release_command(version: str, project_id: int) -> None:
    """Announce a release before it is deployed.

    Releases also appear by themselves, with their first event, transaction, session or line of a
    log. An announced release is the next release: issues that are resolved in the next release are
    from now on resolved in this release. Announcing a known release changes nothing else.
    """
    try:
        with current_store().write() as conn:
            row, is_new = announce(conn, project_id, version, "flask release", utc_now())
    except ReleaseError as error:
        raise usage_error(str(error)) from error
    say(f"release {row.version} is {'announced' if is_new else 'known already'}")


@release_group.command("list")
@of_project
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
def list_releases_command(project_id: int, limit: int) -> None:
    """Print the releases of a project with their figures, the newest first."""
    with current_store().read() as conn:
        rows = list_releases(conn, project_id, limit=limit)
        found = figures_of(conn, rows, utc_now())
    for release in found:
        say(_line(release))


def _line(release_figures: ReleaseFigures) -> str:
    known = release_figures.row.first_seen or release_figures.row.announced_at
    seen = "first seen" if release_figures.row.first_seen else "announced"
    rate = release_figures.health.crash_free_sessions
    counts = release_figures.issues
    return (
        f"{release_figures.row.version}  {seen} {known:%Y-%m-%d %H:%M} UTC,"
        f" {counts.new} new, {counts.regressed} regressed, {counts.resolved} resolved,"
        f" {release_figures.users} users" + (f", {rate:.2%} crash-free" if rate is not None else "")
    )
