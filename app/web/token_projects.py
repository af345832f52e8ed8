"""Tokens of some projects: what a request is about has to belong to one of them.

    GET  /api/issues?project_id=2       a list: the parameter has to name one of them
    GET  /api/issues/7                  an object: looked up by its id; another one's is 404
    POST /api/releases {"project_id"…   a body: its field, its filter, or the objects of its ids

A route that says no project in one of these ways is refused, so a new route gives nothing away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import abort, current_app, g, request
from pydantic import BaseModel
from sqlalchemy import Column, select

from app.alerts.tables import alert_rules, notices
from app.events.tables import envelopes, events
from app.issues.tables import feedback, grouping_rules, issues
from app.protocol.event import parse_event_id
from app.stats.tables import releases
from app.web.current import current_store

Parse = Callable[[Any], Any]

# The largest row number of both databases.
MAX_ROW_NUMBER = 2**63 - 1
# The digits of the largest number of a project.
MAX_DIGITS = 10
# Routes about no project that everybody with a token may read.
FOR_ALL = frozenset({"api.openapi_document", "api.reference"})
# Routes whose view leaves out other projects.
FILTERED = frozenset({"api.get_projects", "api.get_trace", "mcp.answer"})
# Parameters of paths, by the beginning of the path: the column of the id, and that of its project.
OBJECTS: dict[tuple[str, str], tuple[Column[Any], Column[Any]]] = {
    ("/api/issues", "issue_id"): (issues.c.id, issues.c.project_id),
    ("/api/events", "event_id"): (events.c.event_id, events.c.project_id),
    ("/api/deliveries", "envelope_id"): (envelopes.c.id, envelopes.c.project_id),
    ("/api/feedback", "feedback_id"): (feedback.c.id, feedback.c.project_id),
    ("/api/releases", "release_id"): (releases.c.id, releases.c.project_id),
    ("/api/rules", "rule_id"): (grouping_rules.c.id, grouping_rules.c.project_id),
    ("/api/alerts", "rule_id"): (alert_rules.c.id, alert_rules.c.project_id),
    ("/api/alerts", "notice_id"): (notices.c.id, notices.c.project_id),
}


def check(allowed: frozenset[int]) -> None:
    """Refuse a request of a token that is about another project, or about no project.

    :param allowed: the projects of the token.
    :raise 403: the request does not say its project. :raise 404: its object is of another one.
    """
    if request.endpoint in FOR_ALL | FILTERED:
        return
    named = list(_in_path(allowed))
    body, query = _inputs()
    if query is not None and "project_id" in query.model_fields and not named:
        _check_number(allowed, request.args.get("project_id"))
        named.append("query")
    if body is not None and {"project_id", "ids"} & set(body.model_fields):
        named.append("body")  # check_body() looks at it when it is read.
    if not named:
        projects = ", ".join(map(str, sorted(allowed)))
        abort(403, description=f"the token is for the projects {projects} only: this is for all")


def check_body(body: BaseModel) -> None:
    """Check the projects that a body names, if the request has a token of some projects."""
    token = g.get("token_access")
    if token is None or token.projects is None:
        return
    allowed, fields = token.projects, type(body).model_fields
    if isinstance(rule_id := getattr(body, "rule_id", None), int):
        _check_rows(allowed, *OBJECTS["/api/rules", "rule_id"], [rule_id])
    if isinstance(ids := getattr(body, "ids", None), list):
        _check_rows(allowed, *_column_of_ids(), ids)
    elif (where := getattr(body, "where", None)) is not None:
        _check_number(allowed, where.project_id)
    elif "project_id" in fields and ("project_id" in body.model_fields_set or not _has_object()):
        _check_number(allowed, getattr(body, "project_id", None))


def allowed_projects() -> frozenset[int] | None:
    """Return the projects that the token of this request is limited to, ``None`` for all."""
    token = g.get("token_access")
    return None if token is None else token.projects


def _in_path(allowed: frozenset[int]) -> Iterable[str]:
    for name, value in (request.view_args or {}).items():
        if name == "project_id":
            if value not in allowed:
                abort(404, description="there is no such project")
            yield name
        elif found := _columns(name):
            _check_rows(allowed, *found, [value])
            yield name


def _columns(name: str) -> tuple[Column[Any], Column[Any]] | None:
    path = str(request.url_rule)
    for (prefix, parameter), columns in OBJECTS.items():
        if parameter == name and path.startswith(f"{prefix}/"):
            return columns
    return None


def _has_object() -> bool:
    return bool(request.view_args)


def _column_of_ids() -> tuple[Column[Any], Column[Any]]:
    is_delivery = request.path.startswith("/api/deliveries")
    return (
        OBJECTS["/api/deliveries", "envelope_id"]
        if is_delivery
        else OBJECTS["/api/issues", "issue_id"]
    )


def _check_rows(
    allowed: frozenset[int], key: Column[Any], project: Column[Any], ids: Iterable[Any]
) -> None:
    """Refuse ids unless all of their objects are of these projects; an event may be in several.

    An object of another project is answered as one that does not exist.
    """
    known = {one for one in map(_as_stored, ids) if one is not None}
    with current_store().read() as conn:
        found = conn.execute(select(key, project).where(key.in_(known)).distinct()).all()
    if {id for id, _ in found} != known or not {of for _, of in found} <= allowed:
        abort(404, description="the projects of this token have no such object")


def _as_stored(value: Any) -> Any:
    """Return an id as rows have it, ``None`` if no row can have it."""
    if isinstance(value, str):
        return parse_event_id(value)
    return value if value <= MAX_ROW_NUMBER else None


def _check_number(allowed: frozenset[int], given: Any) -> None:
    text = str(given if given is not None else "")
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    if not (is_number and int(text) in allowed):
        projects = ", ".join(map(str, sorted(allowed)))
        word = "project" if len(allowed) == 1 else "projects"
        rest = ", not for the named one" if is_number else ": say project_id"
        abort(403, description=f"the token is for the {word} {projects} only{rest}")


def _inputs() -> tuple[type[BaseModel] | None, type[BaseModel] | None]:
    view = current_app.view_functions.get(request.endpoint or "")
    operation = getattr(view, "operation", None)
    return (operation.body, operation.query) if operation else (None, None)
