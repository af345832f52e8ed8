"""Actions on the pages of deliveries: replay, discard, pause, resume."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.admin import bp
from app.admin.filter_bar import read_choice
from app.admin.filters import plural
from app.delivery import actions
from app.delivery.actions import DoesNotFit
from app.delivery.filter import DeliveryFilter
from app.web import access
from app.web.current import current_destinations, current_store


@bp.post("/deliveries/replay")
@access.configures
def replay_deliveries() -> ResponseReturnValue:
    """Send again all envelopes that match a filter, and redirect to the list (303).

    :raise 400: the filter is empty or invalid.
    """
    choice = read_choice(DeliveryFilter, request.form)
    if choice.problems or not choice.values:
        abort(400, description="a filter is expected")
    outcome = actions.replay(current_store(), current_destinations(), choice.form, _actor())
    flash(f"{plural(outcome.done, 'envelope')} sent again, or as soon as Sentry takes them.")
    if outcome.skipped:
        flash(f"{plural(outcome.skipped, 'envelope')} left: no DSN to send to.", "warning")
    values: dict[str, Any] = {**choice.values}
    return redirect(url_for("admin.list_of_deliveries", **values), 303)


@bp.post("/deliveries/discard")
@access.configures
def discard_deliveries() -> ResponseReturnValue:
    """Discard all envelopes that match a filter, and redirect to the list (303).

    :raise 400: the filter has no state, or is invalid.
    """
    choice = read_choice(DeliveryFilter, request.form)
    if choice.problems or "state" not in choice.values:
        abort(400, description="a filter with a state is expected")
    outcome = actions.discard(current_store(), current_destinations(), choice.form, _actor())
    flash(f"{plural(outcome.done, 'envelope')} discarded. They stay here and can be replayed.")
    return redirect(url_for("admin.list_of_deliveries", state="discarded"), 303)


@bp.post("/deliveries/<int:envelope_id>/replay")
@access.configures
def replay_delivery(envelope_id: int) -> ResponseReturnValue:
    """Send an envelope again, and redirect to its page (303).

    :raise 404: no envelope has this id.
    """
    force = request.form.get("force") == "yes"
    with _flashing("It is sent again, or as soon as Sentry takes it."):
        actions.replay_one(
            current_store(), current_destinations(), envelope_id, _actor(), force=force
        )
    return redirect(url_for("admin.show_delivery", envelope_id=envelope_id), 303)


@bp.post("/deliveries/<int:envelope_id>/discard")
@access.configures
def discard_delivery(envelope_id: int) -> ResponseReturnValue:
    """Discard an envelope, and redirect to its page (303).

    :raise 404: no envelope has this id.
    """
    with _flashing("It is discarded. It stays here and can be replayed."):
        actions.discard_one(current_store(), current_destinations(), envelope_id, _actor())
    return redirect(url_for("admin.show_delivery", envelope_id=envelope_id), 303)


@bp.post("/destinations/<int:project_id>/pause")
@access.configures
def pause_delivery(project_id: int) -> ResponseReturnValue:
    """Stop sending to a project's destination (303).

    :raise 404: there is no such project.
    """
    with _flashing("Delivery is paused. Everything is kept and queued."):
        actions.pause(current_store(), current_destinations(), project_id, _actor())
    return redirect(url_for("admin.list_of_deliveries"), 303)


@bp.post("/destinations/<int:project_id>/resume")
@access.configures
def resume_delivery(project_id: int) -> ResponseReturnValue:
    """Resume sending to a project's destination, without waiting (303).

    :raise 404: there is no such project.
    """
    with _flashing("Delivery goes on, beginning with what waits."):
        actions.resume(current_store(), current_destinations(), project_id, _actor())
    return redirect(url_for("admin.list_of_deliveries"), 303)


@contextmanager
def _flashing(done: str) -> Iterator[None]:
    """Flash that the action is done, or why it is not possible; the next page shows the state."""
    try:
        yield
        flash(done)
    except DoesNotFit as error:
        flash(f"Not done: {error}.", "warning")


def _actor() -> str:
    return f"admin {current_user.username}"
