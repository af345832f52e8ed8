"""The filter of a list of deliveries: the parameters of the API and of the page."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, Field
from sqlalchemy import Select, and_, literal, not_, or_, select

from app.events.tables import envelopes, events
from app.inputs import Control, Filter, ProjectId, RowNumber
from app.projects import OWN_PROJECT_ID, projects
from app.protocol.event import parse_event_id
from app.protocol.lenient import search_text
from app.store.paging import Listing, hidden
from app.store.searching import contains

State = Literal["local", "pending", "retry", "delivered", "parked", "expired", "discarded", "demo"]
STATES: tuple[State, ...] = get_args(State)

# The first item of the envelopes that the SDK of this application sends about its requests.
OWN_REQUESTS = ("transaction", "profile_chunk")

ItemType = Annotated[str, Field(max_length=64, description="Of one of its items.")]
Reason = Annotated[str, Field(max_length=200, description="Part of why it is not delivered.")]
EventId = Annotated[str, Field(max_length=36, description="Of the event in it.")]
# JSON has no date type, so this field accepts text even where a body is validated strictly.
Moment = Annotated[AwareDatetime, Field(strict=False)]


class DeliveryFilter(Filter):
    """The filter of a list of deliveries.

    ``reason`` is compared without regard to case. ``event_id`` may have dashes. An envelope matches
    if it was received at or after ``since`` and before ``until``.
    """

    state: Annotated[State | None, Control("State")] = None
    project_id: Annotated[ProjectId | None, Control("Project", "project")] = None
    item_type: Annotated[
        ItemType | None, Control("Item type", "item", placeholder="event, session")
    ] = None
    reason: Annotated[Reason | None, Control("Reason", placeholder="part of it")] = None
    event_id: Annotated[EventId | None, Control("Event id", "event")] = None
    since: Annotated[Moment | None, Control("From (UTC)", "from")] = None
    until: Annotated[Moment | None, Control("To (UTC)", "to")] = None

    @property
    def given(self) -> dict[str, Any]:
        """The criteria that are set, by name."""
        values = {name: getattr(self, name) for name in DeliveryFilter.model_fields}
        return {name: value for name, value in values.items() if value is not None}

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Return the query with this filter's conditions."""
        listing = self.listing()
        return query.where(*listing.along, *listing.others)

    def listing(self) -> Listing:
        """Return the list of envelopes that match this filter, sorted by id."""
        columns = envelopes.c
        along: list[Any] = []
        others: list[Any] = []
        if self.event_id is not None:
            along.append(columns.id.in_(_envelopes_of(self.event_id)))
        if self.state is not None:
            along.append(columns.state == self.state)
        if self.project_id is not None:
            others.append(hidden(columns.project_id) == self.project_id)
        if self.since:
            others.append(columns.received_at >= self.since)
        if self.until:
            others.append(columns.received_at < self.until)
        if item_type := search_text(self.item_type):
            types = literal(",") + columns.item_types + literal(",")
            others.append(types.contains(f",{item_type},", autoescape=True))
        if part := search_text(self.reason):
            others.append(contains(part, columns.reason))
        goes_on = columns.received_at >= self.since if self.since else None
        return Listing([columns.id], along, others, goes_on_while=goes_on)


class Unfiltered(DeliveryFilter):
    """The list of a page without any filter: everything but the requests of this application.

    They would be most of the list, and are not what someone looks for who names nothing.
    """

    def listing(self) -> Listing:
        """Return the list of envelopes, sorted by id."""
        listing, columns = super().listing(), envelopes.c
        types = columns.item_types + literal(",")
        is_request = or_(*(types.startswith(f"{name},") for name in OWN_REQUESTS))
        is_own = hidden(columns.project_id) == OWN_PROJECT_ID
        return listing._replace(others=[*listing.others, not_(and_(is_own, is_request))])


class DeliverySelection(DeliveryFilter):
    """The envelopes that an action applies to: those of a filter, or those with these ids."""

    ids: list[RowNumber] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The criteria that are set, by name."""
        return super().given | ({} if self.ids is None else {"ids": tuple(self.ids)})

    def listing(self) -> Listing:
        """Return the list of envelopes that match this filter, sorted by id."""
        listing = super().listing()
        if self.ids is None:
            return listing
        return listing._replace(along=[envelopes.c.id.in_(self.ids), *listing.along])


def _envelopes_of(event_id: str) -> Select[Any]:
    # The unique index of events begins with the project, so name the projects: one seek for each.
    return select(events.c.envelope_id).where(
        events.c.project_id.in_(select(projects.c.id)),
        events.c.event_id == (parse_event_id(event_id) or ""),
    )
