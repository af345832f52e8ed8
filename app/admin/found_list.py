"""What the lists of events and of log lines begin with: the query, its menu, and the range.

``templates/found_list.html`` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from flask import request

from app.admin.filter_bar import ListChoice, read_choice
from app.admin.query_line import QueryLine, read_line, without_old
from app.admin.query_menu import groups_of, query_menu
from app.admin.range_bar import range_bar, with_period
from app.inputs import RangeFilter
from app.store import utc_now

Form = TypeVar("Form", bound=RangeFilter)
DEFAULT_PERIOD = "day"


def read_list(form: type[Form]) -> tuple[ListChoice[Form], QueryLine]:
    """Return the filter and the query in the address of a list."""
    given = with_period(request.args, DEFAULT_PERIOD)
    given.pop("assigned", None)  # Only issues are assigned.
    line = read_line(given)
    return read_choice(form, without_old(given, line)), line


def list_bar(
    kind: str,
    choice: ListChoice[Form],
    line: QueryLine,
    recent: Mapping[str, Sequence[str]],
    projects: Mapping[int, str],
) -> dict[str, Any]:
    """Return the variables of the template.

    :param kind: of rows, for the completion of the query.
    :param recent: environments and releases for the menu, newest first.
    :param projects: all projects by id.
    """
    return {
        "kind": kind,
        "choice": choice,
        "line": line,
        "path": request.path,
        "menu": query_menu(request.path, choice.values, groups_of(recent, projects)),
        "projects": projects if len(projects) > 1 else {},
        "range_bar": range_bar(request.path, choice.values, choice.form.range_of(utc_now())),
    }
