"""Channels: where notifications go. An address that holds a secret is written and never read again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask import Response, abort
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from sqlalchemy import Connection

from app.alerts.channels import stored
from app.alerts.channels.inputs import ChannelInput, ChannelName, changed_values, new_values
from app.alerts.channels.kind import KINDS
from app.api import bp
from app.api.alerts import one_of
from app.api.openapi import Operation, answer, describe
from app.api.requests import Body, patch_of, read_body
from app.web import access
from app.web.current import current_dispatcher, current_store

UNKNOWN = "no channel has this id"

ChannelKind = Annotated[str, one_of(KINDS)]


class AlertChannel(BaseModel):
    """A channel; `address` is what may be shown of it.

    `failing_since`: since when every attempt has failed, and `failure` why the last one did; both
    null while it works.
    """

    id: int
    kind: ChannelKind
    name: str
    address: str
    enabled: bool
    created_at: datetime
    created_by: str | None
    failing_since: datetime | None
    failure: str | None


class MadeChannel(AlertChannel):
    """A channel that was just made; `secret` signs what a webhook is sent, and is shown once."""

    secret: str | None


class ChannelList(BaseModel):
    """All channels, the oldest first."""

    channels: list[AlertChannel]
    next: str | None = None


class ChannelBody(ChannelInput, Body):
    """A new channel: `to` of mail, `url` of every other kind."""

    kind: ChannelKind
    name: ChannelName


ChannelChange = patch_of(
    ChannelInput,
    "ChannelChange",
    "What is to be changed of a channel; none of it can be cleared.",
)


class TestResult(BaseModel):
    """What became of a test: `delivered`, or `parked` with the reason at the notification."""

    notice_id: int
    state: str


@bp.get("/api/alerts/channels")
@access.reads
@describe(
    Operation("Channels that notices go out by", {200: ChannelList}, problems=(503,), tag="alerts")
)
def get_channels() -> ResponseReturnValue:
    """Return all channels."""
    with current_store().read() as conn:
        found = stored.list_channels(conn)
    return answer(ChannelList(channels=[AlertChannel(**_shape(channel)) for channel in found]))


@bp.post("/api/alerts/channels")
@access.writes
@describe(
    Operation(
        "Add a channel",
        {201: MadeChannel},
        body=ChannelBody,
        problems=(413, 415, 422, 503),
        tag="alerts",
    )
)
def post_channel() -> ResponseReturnValue:
    """Keep a channel.

    :raise AlertError: a field is wrong, or the address is not one to send to (422).
    """
    body = read_body(ChannelBody)
    given = body.model_dump(exclude={"kind"}, exclude_none=True)
    # Before the transaction, since it asks the network.
    values = new_values(KINDS[body.kind], given, current_dispatcher().targets)
    with current_store().write() as conn:
        made = stored.add_channel(conn, values, access.caller())
    return answer(MadeChannel(**_shape(made), secret=made.secret), 201)


@bp.patch("/api/alerts/channels/<int:channel_id>")
@access.writes
@describe(
    Operation(
        "Change a channel, switch it on or off",
        {200: AlertChannel},
        body=ChannelChange,
        problems=(404, 413, 415, 422, 503),
        tag="alerts",
    )
)
def patch_channel(channel_id: int) -> ResponseReturnValue:
    """Change what is named and return the channel.

    :raise 404: no channel has this id. :raise AlertError: a field is wrong (422).
    """
    given = read_body(ChannelChange).changes()
    with current_store().read() as conn:
        channel = _find(conn, channel_id)
    changes = changed_values(channel.about, given, current_dispatcher().targets)
    with current_store().write() as conn:
        changed = stored.change_channel(conn, _find(conn, channel_id), changes)
    return answer(AlertChannel(**_shape(changed)))


@bp.delete("/api/alerts/channels/<int:channel_id>")
@access.writes
@describe(
    Operation(
        "Delete a channel with its address; what it sent stays in the list of notices",
        {204: None},
        problems=(404, 503),
        tag="alerts",
    )
)
def delete_channel(channel_id: int) -> ResponseReturnValue:
    """Remove a channel.

    :raise 404: no channel has this id.
    """
    with current_store().write() as conn:
        if not stored.remove_channel(conn, channel_id):
            abort(404, description=UNKNOWN)
    return Response(status=204)


@bp.post("/api/alerts/channels/<int:channel_id>/test")
@access.writes
@describe(
    Operation(
        "Send a test notice by a channel, now and once",
        {200: TestResult},
        problems=(404, 503),
        tag="alerts",
    )
)
def post_channel_test(channel_id: int) -> ResponseReturnValue:
    """Send a test and return what became of it.

    :raise 404: no channel has this id.
    """
    with current_store().read() as conn:
        channel = _find(conn, channel_id)
    notice_id, state = current_dispatcher().test(channel)
    return answer(TestResult(notice_id=notice_id, state=state))


def _find(conn: Connection, channel_id: int) -> stored.Channel:
    return stored.find_channel(conn, channel_id) or abort(404, description=UNKNOWN)


def _shape(channel: stored.Channel) -> dict[str, Any]:
    names = AlertChannel.model_fields.keys() - {"address"}
    return {name: getattr(channel, name) for name in names} | {"address": channel.shown}
