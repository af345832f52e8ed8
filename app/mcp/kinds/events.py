"""Tools that read events: a search, and one event as Markdown."""

from __future__ import annotations

from app.events.markdown import markdown_of
from app.inputs.queries import Paged
from app.mcp.answers import Answer, Sized, at
from app.mcp.kinds.arguments import Arguments, EventId, ListLimit
from app.mcp.reach import Reach
from app.mcp.tools import tool
from app.search.event_search import EventSearch
from app.web.current import current_config, current_store


class EventsArguments(Sized, EventSearch, Paged):
    """Which events to list."""

    limit: ListLimit = 20


class EventArguments(Arguments):
    """Which event to read."""

    event_id: EventId


@tool("search_events", "Search events")
def search_events(given: EventsArguments, reach: Reach, answer: Answer) -> None:
    """Search events, the newest first. `query` has terms such as level:error release:shop@1.2
    user.id:42 url:*checkout* region:eu (any tag) and words of the message; a term with ! in front
    is excluded. `period`, or `start` and `end`, are about when events happened. Without a query the
    newest events are listed.
    """
    query = given.model_copy(update={"project_id": reach.project(given.project_id)})
    with current_store().read() as conn:
        page = query.page(conn, before=query.cursor, limit=query.limit)
    answer.say_page(len(page.rows), "event", page.next, page.searched_back_to)
    for row in page.rows:
        answer.say(
            f"{row.event_id} of issue #{row.issue_id} in project {row.project_id}: {row.level},"
            f" {at(row.timestamp)}, {row.state}"
        )
        answer.quote(
            title=row.title,
            culprit=row.culprit,
            release=row.release,
            environment=row.environment,
        )


@tool("get_event", "Read an event")
def get_event(given: EventArguments, reach: Reach, answer: Answer) -> None:
    """Read one event as Markdown: exceptions with their frames, source lines and variables, tags,
    request, user and the last breadcrumbs. Lower `max_characters` for its beginning only.
    """
    with current_store().read() as conn:
        stored = reach.event(conn, given.event_id)
    row = stored.row
    answer.say(
        f"Event {row.event_id} of issue #{row.issue_id} in project {row.project_id}: {row.level},"
        f" happened {at(row.timestamp)}, received {at(row.received_at)}; delivery to Sentry:"
        f" {row.state} (delivery {row.envelope_id})"
    )
    answer.say(f"Page: {current_config().public_url}/admin/events/{row.event_id}")
    answer.quote_text(markdown_of(stored).rstrip("\n"))
