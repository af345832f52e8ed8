"""`flask verify --project`: a test error for a project or for each one, and where each of them is.

The errors take the way of the projects' programs: the ingest route, the store, the forwarder.
"""

from __future__ import annotations

import json
import time
from typing import Any

from app.delivery.forwarder import Forwarder
from app.events.trail import Hop
from app.output import one_line, say, usage_error
from app.projects import Project, list_projects
from app.store import in_batches
from app.trials.answer import duration
from app.trials.everywhere import (
    HOPS,
    MAX_PROJECTS,
    Row,
    is_tested,
    new_run,
    send_to_each,
    table,
)
from app.trials.kinds import Wish
from app.web.current import current_config, current_destinations, current_store
from app.worker import rules_of

MESSAGE = "flask verify: a test error"
WAIT_S = 30.0
POLL_S = 0.2
WIDTH = 24
OK, FAILED = 0, 2


def verify_projects(wanted: str, as_json: bool) -> int:
    """Send the test errors, print the table, and return the exit code.

    :param wanted: the id of a project, or ``all``.
    :raise click.UsageError: there is no such project.
    """
    rows: list[Row] = []
    # This forwarder sends only if no other process holds the lease. Otherwise that process sends.
    forwarder = Forwarder(current_store(), current_destinations(), rules_of(current_config()))
    forwarder.start()
    try:
        for projects in in_batches(_projects(wanted), MAX_PROJECTS):
            rows += _tested(projects)
    finally:
        forwarder.stop()
    report = [_report(row) for row in rows]
    if as_json:
        text = json.dumps({"projects": report}, ensure_ascii=False, indent=2, default=str)
        say(*text.split("\n"))
    else:
        say(*_lines(rows))
    return OK if all(row.is_good for row in rows) else FAILED


def _projects(wanted: str) -> list[Project]:
    with current_store().read() as conn:
        found = list_projects(conn)
    if wanted == "all":
        return [project for project in found if is_tested(project)]
    found = [project for project in found if str(project.id) == wanted]
    if not found:
        raise usage_error(f"there is no project {wanted}: give its number, or all")
    return found


def _tested(projects: list[Project]) -> list[Row]:
    run = new_run()
    refused = send_to_each(run, projects, Wish("exception", MESSAGE, is_repeat=True))
    deadline = time.monotonic() + WAIT_S
    while True:
        with current_store().read() as conn:
            rows = table(conn, run, projects, refused)
        if all(row.is_over for row in rows) or time.monotonic() > deadline:
            return rows
        time.sleep(POLL_S)


def _report(row: Row) -> dict[str, Any]:
    return {
        "project_id": row.project.id,
        "name": row.project.name,
        "event_id": row.event_id,
        "ok": row.is_good,
        "state": row.state or None,
        "sentence": row.answer.words,
        "trail": [hop._asdict() for hop in row.trail],
    }


def _lines(rows: list[Row]) -> list[str]:
    lines = ["  ".join([f"{'project':<{WIDTH}}", *(f"{name:<10}" for name in HOPS)])]
    for row in rows:
        name = one_line(f"{row.project.id} {row.project.name}")
        cells = [f"{_cell(row.hops.get(name)):<10}" for name in HOPS]
        lines.append("  ".join([f"{_cut(name):<{WIDTH}}", *cells]).rstrip())
        if not row.is_good:
            remedies = "; ".join(remedy.words for remedy in row.answer.remedies)
            lines.append(f"    {one_line(row.answer.words)}")
            lines += [f"    → {remedies}"] if remedies else []
    good = sum(row.is_good for row in rows)
    return [*lines, "", f"{good} of {len(rows)} accepted, or kept here on purpose"]


def _cut(name: str) -> str:
    return name if len(name) <= WIDTH else f"{name[: WIDTH - 1]}…"


def _cell(hop: Hop | None) -> str:
    if hop is None or hop.ok is None:
        return "-"
    return ("✓ " + (duration(hop.ms) if hop.ms is not None else "")).strip() if hop.ok else "✗"
