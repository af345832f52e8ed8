"""The page "Test all projects": one test error for each project, and where each of them is."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from app.admin import bp
from app.admin.test_answers import links_of
from app.events.trail import Hop
from app.projects import Project, list_projects
from app.protocol.event import parse_event_id
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
from app.web import access
from app.web.current import current_store
from app.web.errors import or_404

MESSAGE = "A test error for every project"
_REFUSED = re.compile(r"(\d{1,10})-(\d{1,3})")


class Run(NamedTuple):
    """A run as the address of its page names it.

    :param after: the projects of the run have larger ids than this one.
    :param refused: by project the status of a test error that was not recorded.
    """

    id: str
    after: int
    refused: dict[int, int]


@bp.route("/test-error/all", methods=["GET", "POST"])
@access.tests
def test_all_projects() -> ResponseReturnValue:
    """Show the table of a run; send the test errors of a new run on POST (303)."""
    form = FlaskForm()
    if request.method == "POST" and form.validate():
        after = request.form.get("after", 0, int)
        id, projects = new_run(), _projects(after).tested
        refused = send_to_each(id, projects, Wish("exception", MESSAGE, is_repeat=True))
        said = ".".join(f"{project}-{status}" for project, status in refused.items())
        url = url_for("admin.test_all_projects", run=id, after=after or None, refused=said or None)
        return redirect(url, 303)
    run = _asked()
    found: dict[str, Any] = _table(run) if run else {"rows": [], "rest": 0}
    return render_template("test_all.html", form=form, most=MAX_PROJECTS, **found)


@bp.get("/live/test-error/all")
@access.views
def show_all_test_errors() -> ResponseReturnValue:
    """Show the table alone; the page reloads it until every hop is final.

    :raise 404: the address names no run.
    """
    return render_template("_test_all.html", **_table(or_404(_asked(), "there is no such run")))


def _asked() -> Run | None:
    run = parse_event_id(request.args.get("run"))
    if run is None:
        return None
    pairs = _REFUSED.findall(request.args.get("refused", ""))
    refused = {int(project): int(status) for project, status in pairs}
    return Run(run, request.args.get("after", 0, int), refused)


class _Projects(NamedTuple):
    """The projects of a run, how many come after them, and the names of those that are left out."""

    tested: list[Project]
    rest: int
    left_out: list[str]


def _projects(after: int) -> _Projects:
    with current_store().read() as conn:
        found = list_projects(conn)
    wanted = [project for project in found if project.id > after and is_tested(project)]
    left_out = [project.name for project in found if not is_tested(project)]
    return _Projects(wanted[:MAX_PROJECTS], max(0, len(wanted) - MAX_PROJECTS), left_out)


def _table(run: Run) -> dict[str, Any]:
    projects, rest, left_out = _projects(run.after)
    with current_store().read() as conn:
        rows = table(conn, run.id, projects, run.refused)
    address = request.args.to_dict()
    return {
        "rows": [(row, _cells(row), _links(row)) for row in rows],
        "hops": HOPS,
        "good": sum(row.is_good for row in rows),
        "is_settled": all(row.answer.is_settled for row in rows),
        "rest": rest,
        "left_out": left_out,
        "last": projects[-1].id if projects else 0,
        "live": url_for("admin.show_all_test_errors", **address),  # type: ignore[arg-type]
        "here": url_for("admin.test_all_projects", **address),  # type: ignore[arg-type]
    }


def _links(row: Row) -> list[tuple[str, str]]:
    # Beside the sentence "This project has no Sentry destination" it is "Add one".
    return [(words.replace("Add one", "Add a DSN"), url) for words, url in links_of(row.answer)]


def _cells(row: Row) -> list[tuple[str, Hop]]:
    return [(name, row.hops.get(name) or Hop(name)) for name in HOPS]
