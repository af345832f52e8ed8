"""The set-up page of a project: its DSN, the code for each kind of program, and the first event.

You can leave the page and open it again at any time. While it is open, its region for the first
event reloads itself.
"""

from __future__ import annotations

from flask import render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app.admin import bp
from app.admin.setup_lines import snippets
from app.project_service.details import first_event
from app.projects import Project, dsn_of, find_project
from app.web import access
from app.web.current import current_config, current_store


@bp.get("/projects/<int:project_id>/setup")
@access.views
def set_up_project(project_id: int) -> ResponseReturnValue:
    """Show what a program needs to send events to a project.

    :raise 404: there is no such project.
    """
    with current_store().read() as conn:
        project, first = _found(conn, project_id)
    config, key = current_config(), project.keys[-1] if project.keys else None
    return render_template(
        "project_setup.html",
        project=project,
        first=first,
        dsn=dsn_of(config.public_url, project_id, key) if key else None,
        snippets=snippets(config.public_url, project_id, key) if key else [],
        is_local=config.PUBLIC_URL is None,
    )


@bp.get("/live/projects/<int:project_id>/first-event")
@access.views
def show_first_event(project_id: int) -> ResponseReturnValue:
    """Show whether the first event has arrived.

    :raise 404: there is no such project.
    """
    with current_store().read() as conn:
        project, first = _found(conn, project_id)
    return render_template("_first_event.html", project=project, first=first)


def _found(conn: Connection, project_id: int) -> tuple[Project, Row[tuple[object, ...]] | None]:
    return find_project(conn, project_id), first_event(conn, project_id)
