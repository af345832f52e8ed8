"""What the routes and tools of insights ask for: a page of figures of a project in a period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field

from app.inputs.queries import Limit, Query
from app.insights.performance import Sort
from app.insights.reading import PERIODS, Period, Selection, window_of
from app.projects import OWN_PROJECT_ID
from app.protocol.event import clean_text
from app.store import utc_now

Name = Annotated[str, Field(max_length=250)]
S = TypeVar("S", bound=Selection)
T = TypeVar("T")


class InsightQuery(Query):
    """The query of an insight; a subclass adds the values of ``period`` and its filters."""

    periods: ClassVar[Mapping[str, Period]] = PERIODS

    limit: Limit = 50
    cursor: Annotated[int, Field(ge=0, lt=2**31, description="`next` of the page before.")] = 0
    project_id: Annotated[int, Field(ge=1, lt=2**31)] = OWN_PROJECT_ID
    period: str

    def select(self, kind: type[S]) -> S:
        """Return the query as a selection for queries of the store."""
        since, until = window_of(self.period, utc_now(), self.periods)
        names = {key.name: getattr(self, key.name, None) for key in kind.declared.keys}
        cleaned = {name: clean_text(value) for name, value in names.items() if value is not None}
        return kind(self.project_id, since, until, **cleaned)

    @property
    def step(self) -> timedelta:
        """The length of a step of time."""
        return self.periods[self.period].step

    def page(self, found: Sequence[T]) -> Sequence[T]:
        """Return the requested page of all results."""
        return found[self.cursor : self.cursor + self.limit]

    def place(self, total: int, selection: Selection) -> dict[str, Any]:
        """Return the fields of a page of results.

        :param total: how many results there are.
        :return: ``next`` (the cursor of the next page), ``total``, and the time window.
        """
        end = self.cursor + self.limit
        return {
            "next": str(end) if end < total else None,
            "total": total,
            "since": selection.since,
            "until": selection.until,
        }


class PerformanceQuery(InsightQuery):
    """The requests to count, and how to group them."""

    period: Annotated[
        Literal["hour", "day", "week", "month", "quarter"],
        Field(description="The last hour, 24 hours, 7 days or 90 days, and the step by time."),
    ] = "hour"
    by: Literal["transaction", "release", "time"] = "transaction"
    sort: Annotated[
        Sort, Field(description="What comes first; by p95, by failure rate. Not for time.")
    ] = "slowest"
    transaction: Name | None = None
    release: Name | None = None
    environment: Name | None = None
