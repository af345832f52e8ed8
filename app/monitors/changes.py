"""Monitors that people make and change, on a page or by API.

Who wins: what a person set here stays until a person gives it back (``managed_by`` ``sdk``). A
check-in of a monitor that is managed here changes nothing of what is expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from app.accounts import audit
from app.inputs import Conflict
from app.monitors.machine import begin_anew
from app.monitors.recording import MAX_MONITORS, change_expectation
from app.monitors.settings import (
    MonitorError,
    MonitorSettings,
    checked_columns,
    expectation_of,
    schedule_of,
)
from app.monitors.states import read_state, write_state
from app.monitors.tables import monitor_states, monitors
from app.projects import Project, projects
from app.projects.ending import DELETED, when_changed
from app.protocol.slug import MAX_SLUG, TOO_LONG, read_slug


def add_monitor(
    conn: Connection,
    project_id: int,
    slug: str,
    settings: MonitorSettings,
    created_by: str | None,
    now: datetime,
) -> Row[Any]:
    """Store a monitor and return its row. Its first run is expected after its first check-in.

    :param slug: in any spelling (:func:`read_slug`).
    :raise MonitorError: a field is not valid, there is no such project, or it has too many.
    :raise Conflict: the project has a monitor with this slug.
    """
    columns, slug = monitors.c, read_slug(slug)
    if not slug:
        raise MonitorError("letters or digits are expected", "slug")
    if len(slug) > MAX_SLUG:
        raise MonitorError(TOO_LONG, "slug")
    known = select(projects.c.id).where(
        projects.c.id == project_id, projects.c.deleted_at.is_(None)
    )
    if conn.execute(known).first() is None:
        raise MonitorError("there is no such project", "project_id")
    of_project = columns.project_id == project_id
    if conn.execute(select(columns.id).where(of_project, columns.slug == slug)).first():
        raise Conflict("the project has a monitor with this slug", "slug")
    if (conn.scalar(select(func.count()).where(of_project)) or 0) >= MAX_MONITORS:
        raise MonitorError(f"a project has at most {MAX_MONITORS} monitors", "slug")
    values = checked_columns(settings.model_dump()) | {
        "project_id": project_id,
        "slug": slug,
        "managed_by": "person",
        "created_at": now,
        "created_by": created_by,
    }
    row = conn.execute(insert(monitors).values(values).returning(monitors)).one()
    audit.note(conn, "monitor_added", f"monitor {row.slug} of project {project_id}")
    return row


def change_monitor(
    conn: Connection, row: Row[Any], given: Mapping[str, Any], now: datetime
) -> Row[Any]:
    """Change a monitor and return its row.

    :param given: any fields of :class:`MonitorSettings`, ``paused`` and ``managed_by``. A field of
        the former makes it managed here, except its name.
    :raise MonitorError: a field is not valid.
    """
    if not given:
        return row
    schedule = schedule_of(row)
    before = {
        name: getattr(row, name) for name in MonitorSettings.model_fields if name in row._fields
    }
    before["schedule"] = schedule and {
        "type": schedule.type,
        "value": schedule.value,
        "unit": schedule.unit,
    }
    fields = {name: value for name, value in given.items() if name in before}
    values = checked_columns(before | fields)
    if fields.keys() - {"name"}:
        values |= {"managed_by": "person", "config_error": None}
    values |= {name: given[name] for name in ("paused", "managed_by") if name in given}
    audit.note(
        conn,
        "monitor_changed",
        f"monitor {row.slug} of project {row.project_id}",
        ", ".join(sorted(given)),
    )
    return change_expectation(conn, row, values, now)


def remove_monitor(conn: Connection, row: Row[Any]) -> None:
    """Delete a monitor with its runs. Another check-in makes it again."""
    conn.execute(delete(monitors).where(monitors.c.id == row.id))
    audit.note(conn, "monitor_deleted", f"monitor {row.slug} of project {row.project_id}")


def remove_environment(conn: Connection, monitor: Row[Any], state: Row[Any]) -> None:
    """Delete an environment of a monitor with its runs. Another check-in makes it again.

    :param state: its row of ``monitor_states``.
    """
    conn.execute(delete(monitor_states).where(monitor_states.c.id == state.id))
    place = f"monitor {monitor.slug} of project {monitor.project_id}"
    audit.note(conn, "monitor_environment_deleted", place, state.environment)


@when_changed
def _begin_anew(conn: Connection, project: Project, action: str, now: datetime) -> None:
    """Expect nothing of the jobs of an archived project, and once it is restored nothing of before.

    Check-ins that it sent at last may be read when it is archived, so restoring does the same.
    """
    if action == DELETED:
        return
    query = select(monitors).where(monitors.c.project_id == project.id).order_by(monitors.c.id)
    for monitor in conn.execute(query).all():
        of_it = select(monitor_states).where(monitor_states.c.monitor_id == monitor.id)
        for row in conn.execute(of_it.order_by(monitor_states.c.id)).all():
            state = read_state(conn, row)
            ended = begin_anew(state, now)
            write_state(conn, row.id, state, expectation_of(monitor), ended)
