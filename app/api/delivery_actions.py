"""What programs do to deliveries: replay, discard, pause, resume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AwareDatetime, Field, model_validator

from app.api.deliveries import DestinationState, State, destination_state
from app.api.errors import answer_with
from app.api.requests import Body, EmptyBody, ProjectId, RowNumber
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.delivery import actions
from app.delivery.actions import ActionError, UnknownDelivery
from app.delivery.destinations import Destination
from app.delivery.ledger import DeliveryFilter, Held, held_by_project
from app.store import utc_now
from app.web import access
from app.web.current import current_destinations, current_store

# JSON has no dates; everything else is strict.
Moment = Annotated[AwareDatetime, Field(strict=False)]

route = Routes("deliveries")
answer_with(404, UnknownDelivery)
answer_with(409, ActionError)


class Replayed(ApiModel):
    """How many envelopes are sent again; ``skipped`` have no DSN to go to."""

    replayed: int
    skipped: int


class Discarded(ApiModel):
    """How many envelopes were given up."""

    discarded: int


class DeliveryChoice(Body):
    """Which deliveries: by their ids, or by a filter."""

    ids: Annotated[list[RowNumber], Field(min_length=1, max_length=1000)] | None = None
    state: State | None = None
    project_id: ProjectId | None = None
    item_type: Annotated[str, Field(max_length=64)] | None = None
    reason: Annotated[str, Field(max_length=200)] | None = None
    event_id: Annotated[str, Field(max_length=36)] | None = None
    since: Moment | None = None
    until: Moment | None = None

    @model_validator(mode="after")
    def _names_some(self) -> DeliveryChoice:
        given = self.filter.given.keys()
        if not given:
            raise ValueError("`ids` or a filter is expected; an empty one would mean everything")
        if "ids" in given and len(given) > 1:
            raise ValueError("either `ids` or a filter is expected, not both")
        return self

    @property
    def filter(self) -> DeliveryFilter:
        """The same, for the store."""
        values = self.model_dump(exclude={"force"})
        return DeliveryFilter(**values | {"ids": tuple(self.ids) if self.ids else None})


class ReplayBody(DeliveryChoice):
    """Which deliveries are sent again: by their ids, or by a filter."""

    force: bool = False


class DiscardBody(DeliveryChoice):
    """Which deliveries are given up: by their ids, or by a filter with a state."""

    @model_validator(mode="after")
    def _names_a_state(self) -> DiscardBody:
        if self.ids is None and self.state is None:
            raise ValueError("a filter to discard by names a `state`")
        return self


class ForceBody(Body):
    """Whether to send it even if Sentry has accepted it."""

    is_optional = True

    force: bool = False


class ProjectBody(Body):
    """Whose delivery."""

    project_id: ProjectId


@route("POST /api/deliveries/replay", access.writes)
def replay_deliveries(body: ReplayBody) -> Replayed:
    """Send deliveries again: parked, expired, waiting; discarded and local by state or ids."""
    outcome = actions.replay(
        current_store(), current_destinations(), body.filter, access.caller(), force=body.force
    )
    return Replayed(replayed=outcome.done, skipped=outcome.skipped)


@route("POST /api/deliveries/discard", access.writes)
def discard_deliveries(body: DiscardBody) -> Discarded:
    """Give deliveries up that are still to be sent; they stay here."""
    outcome = actions.discard(current_store(), current_destinations(), body.filter, access.caller())
    return Discarded(discarded=outcome.done)


@route("POST /api/deliveries/<int:envelope_id>/replay", access.writes)
def replay_delivery(envelope_id: int, body: ForceBody) -> Replayed:
    """Send one delivery again, or at once.

    :raise 404: no envelope has this id. :raise 409: it is delivered, or has no DSN to go to.
    """
    actions.replay_one(
        current_store(), current_destinations(), envelope_id, access.caller(), force=body.force
    )
    return Replayed(replayed=1, skipped=0)


@route("POST /api/deliveries/<int:envelope_id>/discard", access.writes)
def discard_delivery(envelope_id: int, body: EmptyBody) -> Discarded:
    """Give one delivery up; it stays here.

    :raise 404: no envelope has this id. :raise 409: it is delivered, local or discarded.
    """
    actions.discard_one(current_store(), current_destinations(), envelope_id, access.caller())
    return Discarded(discarded=1)


@route("POST /api/deliveries/pause", access.writes)
def pause_delivery(body: ProjectBody) -> DestinationState:
    """Stop sending to a project's destination; everything is kept.

    :raise 404: there is no such project. :raise 409: it has no DSN.
    """
    return _changed(actions.pause, body.project_id)


@route("POST /api/deliveries/resume", access.writes)
def resume_delivery(body: ProjectBody) -> DestinationState:
    """Send again, and at once; an open circuit closes.

    :raise 404: there is no such project. :raise 409: it has no DSN.
    """
    return _changed(actions.resume, body.project_id)


def _changed(change: Callable[..., Destination], project_id: int) -> DestinationState:
    """Pause or resume a project's destination and return how it is then."""
    destination = change(current_store(), current_destinations(), project_id, access.caller())
    with current_store().read() as conn:
        held = held_by_project(conn, project_id).get(project_id, Held())
    return destination_state(destination, utc_now(), held)
