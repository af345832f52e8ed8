"""Series: events and users over time, of a project, an environment or an issue."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.api.issues import RangeQuery, Series, series_shape
from app.api.routes import Routes
from app.events.filter import Environment
from app.inputs import ProjectId
from app.insights.project_figures import series_of_projects
from app.protocol.event import clean_text
from app.store import utc_now
from app.web import access
from app.web.current import current_store

route = Routes("series")


class SeriesQuery(RangeQuery):
    """Whose events are counted, and in which range."""

    project_id: Annotated[ProjectId, Field(description="By default all projects.")] | None = None
    environment: Annotated[Environment, Field(description="By default all of them.")] | None = None


@route("GET /api/series", access.reads)
def get_series(query: SeriesQuery) -> Series:
    """Return the events and users of projects over time, by default in the last 24 hours.

    Events that are deleted or no longer stored are counted too.
    """
    environment = None if query.environment is None else clean_text(query.environment)
    range = query.range_of(utc_now(), "day")
    with current_store().read() as conn:
        return series_shape(series_of_projects(conn, range, query.project_id, environment))
