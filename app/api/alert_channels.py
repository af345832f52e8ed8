"""Channels: where notifications go. An address that holds a secret is never shown again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Literal

from flask import Response, abort
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from app.alerts import channels
from app.alerts.channels import MAX_NAME, MAX_SECRET, MIN_SECRET, Channel
from app.alerts.errors import AlertError
from app.alerts.targets import MAX_URL
from app.api import bp
from app.api.openapi import Operation, answer, describe
from app.api.requests import Body, PatchBody, read_body, unchanged
from app.web import access
from app.web.current import current_dispatcher, current_store
from app.web.errors import FieldErrors

UNKNOWN = "no channel has this id"

ChannelKind = Literal["email", "webhook", "slack"]
ChannelName = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL,
        description="Of a webhook or of Slack; it leads to a public address unless "
        "ALERTS_ALLOW_PRIVATE_TARGETS is on. Never shown again.",
    ),
]
To = Annotated[
    str, Field(min_length=1, max_length=5000, description="Mail addresses, separated by commas.")
]
Secret = Annotated[
    str,
    Field(
        min_length=MIN_SECRET,
        max_length=MAX_SECRET,
        description="Signs what a webhook is sent; one is made if none is given.",
    ),
]


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


class ChannelBody(Body):
    """A new channel: `url` of a webhook or of Slack, `to` of mail."""

    kind: ChannelKind
    name: ChannelName
    url: Url | None = None
    to: To | None = None
    secret: Secret | None = None
    enabled: bool = True


class ChannelChange(PatchBody):
    """What is to be changed of a channel; none of it can be cleared."""

    name: ChannelName = unchanged()
    url: Url = unchanged()
    to: To = unchanged()
    secret: Secret = unchanged()
    enabled: bool = unchanged()


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
        found = channels.list_channels(conn)
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

    :raise FieldErrors: a field is wrong, or the address is not one to send to (422).
    """
    body = read_body(ChannelBody)
    with refusals():
        # Before the transaction, since it asks the network.
        wanted = channels.checked(
            current_dispatcher().targets, **body.model_dump(exclude={"enabled"})
        )
        with current_store().write() as conn:
            made = channels.add_channel(conn, wanted, body.enabled, access.caller())
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

    :raise 404: no channel has this id. :raise FieldErrors: a field is wrong (422).
    """
    given = read_body(ChannelChange).changes()
    with current_store().read() as conn:
        channel = _find(conn, channel_id)
    with refusals():
        changes = channels.checked_changes(current_dispatcher().targets, channel, given)
    with current_store().write() as conn:
        changed = channels.change_channel(conn, _find(conn, channel_id), changes)
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
        if not channels.remove_channel(conn, channel_id):
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


@contextmanager
def refusals() -> Iterator[None]:
    """Answer what cannot be kept with 422 and the field."""
    try:
        yield
    except AlertError as error:
        raise FieldErrors([{"field": error.field, "message": str(error)}]) from None


def _find(conn: Connection, channel_id: int) -> Channel:
    channel = channels.find_channel(conn, channel_id)
    if channel is None:
        abort(404, description=UNKNOWN)
    return channel


def _shape(channel: Channel) -> dict[str, Any]:
    names = (
        *("id", "kind", "name", "enabled", "created_at", "created_by"),
        *("failing_since", "failure"),
    )
    return {name: getattr(channel, name) for name in names} | {"address": channel.shown}
