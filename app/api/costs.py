"""Costs: events that happened, were sent to Sentry or were spared, by month."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.inputs.queries import Query
from app.insights.costs import Category, MonthCost, months_of
from app.projects import OWN_PROJECT_ID
from app.store import utc_now
from app.web import access
from app.web.current import current_store

route = Routes("insights")


class Cost(ApiModel):
    """What became of the events that a project received in a month.

    `happened` is `stored` and what was `refused`; `stored` is `sent`, `spared`
    and `kept` together.
    """

    month: str = Field(description="Year and month in UTC, as `2026-11`.")
    happened: int
    stored: int
    sent: int = Field(description="Accepted by Sentry.")
    spared: dict[str, int] = Field(description="Stored and not to be sent, by reason.")
    refused: dict[str, int] = Field(description="Refused for a quota or a full store, by reason.")
    kept: int = Field(description="Only here: local, waiting, parked or expired.")
    share_spared: float = Field(description="Spared and refused of all that happened, 0 to 1.")


class CostPage(ApiModel):
    """The months of a project that have any event, newest first; there is only this page."""

    costs: list[Cost]
    next: None
    total: int


class CostQuery(Query):
    """The project, and the events to count."""

    project_id: Annotated[int, Field(ge=1, lt=2**31)] = OWN_PROJECT_ID
    category: Annotated[Category, Field(description="Errors and messages, or transactions.")] = (
        "error"
    )


@route("GET /api/costs", access.reads)
def get_costs(query: CostQuery) -> CostPage:
    """Return how many events a project had, by month, and how many of them Sentry was spared.

    There are at most the running month and the 13 before it.
    """
    with current_store().read() as conn:
        found = months_of(conn, query.project_id, query.category, utc_now())
    return CostPage(costs=[_shape(one) for one in found], next=None, total=len(found))


def _shape(cost: MonthCost) -> Cost:
    return Cost(
        month=f"{cost.month:%Y-%m}",
        happened=cost.happened,
        stored=cost.stored,
        sent=cost.sent,
        spared=cost.spared,
        refused=cost.refused,
        kept=cost.kept,
        share_spared=round(cost.share_spared, 6),
    )
