"""Actions of programs on deliveries: replay, discard, pause, resume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, model_validator

from app.api.deliveries import DestinationState, destination_state
from app.api.requests import EmptyBody
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.delivery import actions
from app.delivery.destinations import Destination
from app.delivery.filter import DeliverySelection
from app.delivery.ledger import Held, held_by_project
from app.inputs import Body, ProjectId, RowNumber
from app.store import utc_now
from app.web import access
from app.web.current import current_destinations, current_store

route = Routes("deliveries")


class Replayed(ApiModel):
    """The number of envelopes that are sent again; ``skipped`` have no DSN to be sent to."""

    replayed: int
    skipped: int


class Discarded(ApiModel):
    """The number of envelopes that were discarded."""

    discarded: int


class DeliveryChoice(DeliverySelection, Body):
    """The deliveries to change, by their ids or by a filter."""

    ids: Annotated[list[RowNumber], Field(min_length=1, max_length=1000)] | None = None

    @model_validator(mode="after")
    def _names_some(self) -> DeliveryChoice:
        if not self.given:
            raise ValueError("`ids` or a filter is expected; an empty one would mean everything")
        if "ids" in self.given and len(self.given) > 1:
            raise ValueError("either `ids` or a filter is expected, not both")
        return self


class ReplayBody(DeliveryChoice):
    """The deliveries to send again, by their ids or by a filter."""

    force: bool = False


class DiscardBody(DeliveryChoice):
    """The deliveries to discard, by their ids or by a filter with a state."""

    @model_validator(mode="after")
    def _names_a_state(self) -> DiscardBody:
        if self.ids is None and self.state is None:
            raise ValueError("a filter to discard by names a `state`")
        return self


class ForceBody(Body):
    """Whether to send the envelope even if Sentry has accepted it."""

    is_optional = True

    force: bool = False


class ProjectBody(Body):
    """The project whose destination is changed."""

    project_id: ProjectId


@route("POST /api/deliveries/replay", access.writes)
def replay_deliveries(body: ReplayBody) -> Replayed:
    """Send deliveries again.

    A filter without a state means deliveries in the states `retry`, `parked` and `expired`.
    Deliveries in other states, such as `discarded` and `local`, are sent only if the request names
    their state or their ids.
    """
    outcome = actions.replay(
        current_store(), current_destinations(), body, access.caller(), force=body.force
    )
    return Replayed(replayed=outcome.done, skipped=outcome.skipped)


@route("POST /api/deliveries/discard", access.writes)
def discard_deliveries(body: DiscardBody) -> Discarded:
    """Discard deliveries that are not sent yet; the service keeps them."""
    outcome = actions.discard(current_store(), current_destinations(), body, access.caller())
    return Discarded(discarded=outcome.done)


@route("POST /api/deliveries/<int:envelope_id>/replay", access.writes)
def replay_delivery(envelope_id: int, body: ForceBody) -> Replayed:
    """Send a delivery again; a waiting delivery is sent without further delay.

    :raise 404: no envelope has this id.
    :raise 409: it is delivered, or its project has no DSN.
    """
    actions.replay_one(
        current_store(), current_destinations(), envelope_id, access.caller(), force=body.force
    )
    return Replayed(replayed=1, skipped=0)


@route("POST /api/deliveries/<int:envelope_id>/discard", access.writes)
def discard_delivery(envelope_id: int, body: EmptyBody) -> Discarded:
    """Discard a delivery; the service keeps it.

    :raise 404: no envelope has this id. :raise 409: it is delivered, local or discarded.
    """
    actions.discard_one(current_store(), current_destinations(), envelope_id, access.caller())
    return Discarded(discarded=1)


@route("POST /api/deliveries/pause", access.writes)
def pause_delivery(body: ProjectBody) -> DestinationState:
    """Stop sending to a project's destination; all envelopes are kept.

    :raise 404: there is no such project. :raise 409: it has no DSN.
    """
    return _changed(actions.pause, body.project_id)


@route("POST /api/deliveries/resume", access.writes)
def resume_delivery(body: ProjectBody) -> DestinationState:
    """Resume sending to a project's destination, without waiting; an open circuit closes.

    :raise 404: there is no such project. :raise 409: it has no DSN.
    """
    return _changed(actions.resume, body.project_id)


def _changed(change: Callable[..., Destination], project_id: int) -> DestinationState:
    """Pause or resume a project's destination, and return its new state."""
    destination = change(current_store(), current_destinations(), project_id, access.caller())
    with current_store().read() as conn:
        held = held_by_project(conn, project_id).get(project_id, Held())
    return destination_state(destination, utc_now(), held)
