"""What programs do to deliveries: replay, discard, pause, resume."""

from __future__ import annotations

from typing import Annotated

from flask.typing import ResponseReturnValue
from pydantic import Field, model_validator

from app.api import bp
from app.api.deliveries import destination_state
from app.api.openapi import Operation, answer, describe
from app.api.requests import Body, EmptyBody, read_body
from app.api.schemas import DestinationState, Discarded, Replayed
from app.delivery import actions
from app.delivery.destinations import Destination
from app.delivery.filter import DeliverySelection
from app.delivery.ledger import Held, held_by_project
from app.inputs import ProjectId, RowNumber
from app.store import utc_now
from app.web import access
from app.web.current import current_destinations, current_store


class DeliveryChoice(DeliverySelection, Body):
    """Which deliveries: by their ids, or by a filter."""

    ids: Annotated[list[RowNumber], Field(min_length=1, max_length=1000)] | None = None

    @model_validator(mode="after")
    def _names_some(self) -> DeliveryChoice:
        if not self.given:
            raise ValueError("`ids` or a filter is expected; an empty one would mean everything")
        if "ids" in self.given and len(self.given) > 1:
            raise ValueError("either `ids` or a filter is expected, not both")
        return self


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

    force: bool = False


class ProjectBody(Body):
    """Whose delivery."""

    project_id: ProjectId


@bp.post("/api/deliveries/replay")
@access.writes
@describe(
    Operation(
        "Send deliveries again: parked, expired, waiting; discarded and local by state or ids",
        {200: Replayed},
        body=ReplayBody,
        problems=(413, 415, 422, 503),
        tag="deliveries",
    )
)
def replay_deliveries() -> ResponseReturnValue:
    """Send the chosen ones again."""
    body = read_body(ReplayBody)
    outcome = actions.replay(
        current_store(), current_destinations(), body, access.caller(), force=body.force
    )
    return answer(Replayed(replayed=outcome.done, skipped=outcome.skipped))


@bp.post("/api/deliveries/discard")
@access.writes
@describe(
    Operation(
        "Give deliveries up that are still to be sent; they stay here",
        {200: Discarded},
        body=DiscardBody,
        problems=(413, 415, 422, 503),
        tag="deliveries",
    )
)
def discard_deliveries() -> ResponseReturnValue:
    """Give up the chosen ones."""
    body = read_body(DiscardBody)
    outcome = actions.discard(current_store(), current_destinations(), body, access.caller())
    return answer(Discarded(discarded=outcome.done))


@bp.post("/api/deliveries/<int:envelope_id>/replay")
@access.writes
@describe(
    Operation(
        "Send one delivery again, or at once",
        {200: Replayed},
        body=ForceBody,
        body_required=False,
        problems=(404, 409, 413, 415, 422, 503),
        tag="deliveries",
    )
)
def replay_delivery(envelope_id: int) -> ResponseReturnValue:
    """Send one again.

    :raise 404: no envelope has this id. :raise 409: it is delivered, or has no DSN to go to.
    """
    force = read_body(ForceBody, optional=True).force
    actions.replay_one(
        current_store(), current_destinations(), envelope_id, access.caller(), force=force
    )
    return answer(Replayed(replayed=1, skipped=0))


@bp.post("/api/deliveries/<int:envelope_id>/discard")
@access.writes
@describe(
    Operation(
        "Give one delivery up; it stays here",
        {200: Discarded},
        body=EmptyBody,
        body_required=False,
        problems=(404, 409, 413, 415, 422, 503),
        tag="deliveries",
    )
)
def discard_delivery(envelope_id: int) -> ResponseReturnValue:
    """Give one up.

    :raise 404: no envelope has this id. :raise 409: it is delivered, local or discarded.
    """
    read_body(EmptyBody, optional=True)
    actions.discard_one(current_store(), current_destinations(), envelope_id, access.caller())
    return answer(Discarded(discarded=1))


@bp.post("/api/deliveries/pause")
@access.writes
@describe(
    Operation(
        "Stop sending to a project's destination; everything is kept",
        {200: DestinationState},
        body=ProjectBody,
        problems=(404, 409, 413, 415, 422, 503),
        tag="deliveries",
    )
)
def pause_delivery() -> ResponseReturnValue:
    """Stop sending.

    :raise 404: there is no such project. :raise 409: it has no DSN.
    """
    body = read_body(ProjectBody)
    found = actions.pause(current_store(), current_destinations(), body.project_id, access.caller())
    return answer(_state_of(found))


@bp.post("/api/deliveries/resume")
@access.writes
@describe(
    Operation(
        "Send again, and at once; an open circuit closes",
        {200: DestinationState},
        body=ProjectBody,
        problems=(404, 409, 413, 415, 422, 503),
        tag="deliveries",
    )
)
def resume_delivery() -> ResponseReturnValue:
    """Send again.

    :raise 404: there is no such project. :raise 409: it has no DSN.
    """
    body = read_body(ProjectBody)
    found = actions.resume(
        current_store(), current_destinations(), body.project_id, access.caller()
    )
    return answer(_state_of(found))


def _state_of(destination: Destination) -> DestinationState:
    with current_store().read() as conn:
        held = held_by_project(conn, destination.project_id).get(destination.project_id, Held())
    return destination_state(destination, utc_now(), held)
