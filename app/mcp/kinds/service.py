"""Tools about the service and its projects: health, projects, performance."""

from __future__ import annotations

from app.delivery.ledger import counts_by_state
from app.insights.inputs import PerformanceQuery
from app.insights.performance import Percentiles, Rate, Selection, figures_by, over_time, ranked
from app.mcp.answers import Answer, Sized, at, number
from app.mcp.kinds.arguments import Arguments, ListLimit
from app.mcp.reach import Reach
from app.mcp.tools import tool
from app.projects import list_projects
from app.web.checks import combined
from app.web.current import current_store
from app.web.health import kept_health

SHOWN_PROJECTS = 200
# The check of the accounting; answers call it by the word of the pages.
_WORDS = {"books": "accounting"}


class PerformanceArguments(Sized, PerformanceQuery):
    """The requests to count."""

    limit: ListLimit = 20


@tool("get_health", "Read the health of the service")
def get_health(given: Arguments, reach: Reach, answer: Answer) -> None:
    """Read whether this error monitoring works: the result of every check (pass, warn, fail), and,
    for a token of all projects, how many envelopes are in each state of delivery.
    """
    found = kept_health().checks()
    answer.say(f"Health: {combined(*found.values()).result}")
    for name, verdict in found.items():
        answer.say(f"- {_WORDS.get(name, name)}: {verdict.result}")
    if reach.projects is None:
        with current_store().read() as conn:
            counts = counts_by_state(conn)
        shown = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        answer.say(f"Envelopes: {shown or 'none'}")


@tool("list_projects", "List projects")
def list_of_projects(given: Arguments, reach: Reach, answer: Answer) -> None:
    """List the projects with their numbers, which other tools take as project_id."""
    with current_store().read() as conn:
        found = [one for one in list_projects(conn) if reach.sees(one.id)][:SHOWN_PROJECTS]
    answer.say(f"{number(len(found), 'project')}.")
    for one in found:
        answer.say(f"Project {one.id}")
        answer.quote(name=one.name)


@tool("get_performance", "Read the performance of a project")
def get_performance(given: PerformanceArguments, reach: Reach, answer: Answer) -> None:
    """Read durations, throughput and failures of the requests of a project, by transaction, by
    release or over time. Percentiles have an error of at most 2.5 %.
    """
    project_id = given.project_id
    if reach.projects is not None:
        named = project_id if "project_id" in given.model_fields_set else None
        project_id = reach.project(named) or project_id
    query = given.model_copy(update={"project_id": project_id})
    selection = query.select(Selection)
    with current_store().read() as conn:
        if query.by == "time":
            steps = over_time(conn, selection, query.step)
            lines = [
                (at(selection.since + place * query.step), one.rate, one.percentiles)
                for place, one in enumerate(steps)
            ]
        else:
            found = ranked(figures_by(conn, selection, query.by), query.sort)
            lines = [(one.name, one.rate, one.percentiles) for one in found]
    answer.say(
        f"Project {project_id}, {at(selection.since)} to {at(selection.until)}:"
        f" {number(len(lines), 'line')} in all."
    )
    if more := query.place(len(lines), selection)["next"]:
        answer.say(f"The next page has the cursor {more}")
    for name, rate, percentiles in query.page(lines):
        if query.by == "time":
            answer.say(f"{name}: {_figures(rate, percentiles)}")
        else:
            answer.say(_figures(rate, percentiles))
            answer.quote(**{query.by: name or "(none)"})


def _figures(rate: Rate, percentiles: Percentiles) -> str:
    durations = ", ".join(
        f"{name.removesuffix('_ms')} {ms:.1f} ms"
        for name, ms in percentiles._asdict().items()
        if name != "measured" and ms is not None
    )
    failed = f"{rate.failures} failed ({100 * rate.share:.2f} %)"
    return f"{number(rate.requests, 'request')}, {failed}" + (durations and f"; {durations}")
