"""The tool that searches the lines of logs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.inputs.queries import Query
from app.mcp.answers import Answer, Sized, at
from app.mcp.kinds.arguments import ListLimit
from app.mcp.reach import Reach
from app.mcp.tools import tool
from app.signals.logs.filtering import LogFilter, Place, read_place, write_place
from app.signals.logs.line import Line
from app.web.current import current_store


class LogArguments(Sized, LogFilter, Query):
    """Which lines to list."""

    limit: ListLimit = 20
    cursor: Annotated[Place | None, Field(description="That of the page before.")] = None


@tool("search_logs", "Search logs")
def search_logs(given: LogArguments, reach: Reach, answer: Answer) -> None:
    """Search the lines of logs, the newest first. `query` has terms such as level:error
    release:shop@1.2 order.id:1842 (any attribute) and words of the line; a term with ! in front is
    excluded. `trace` lists the lines of one trace. Without a query the newest lines are listed.
    """
    query = given.model_copy(update={"project_id": reach.project(given.project_id)})
    before = None if query.cursor is None else read_place(query.cursor)
    with current_store().read() as conn:
        page = query.page(conn, before=before, limit=query.limit)
    answer.say_page(len(page.lines), "line", write_place(page.next), page.searched_back_to)
    for line in page.lines:
        _say(answer, line)


def _say(answer: Answer, line: Line) -> None:
    trace = f", trace {line.trace_id}" if line.trace_id else ""
    span = f", span {line.span_id}" if line.span_id else ""
    answer.say(f"{at(line.at)}: {line.level} in project {line.project_id}{trace}{span}")
    attributes = ", ".join(f"{name}={value}" for name, value in line.attributes.items())
    answer.quote(
        body=line.body,
        attributes=attributes,
        release=line.release,
        environment=line.environment,
        cut=line.cut,
    )
