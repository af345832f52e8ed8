"""Channels: where notifications are sent. An address that holds a secret is never shown again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask import abort
from sqlalchemy import Connection

from app.alerts.channels import stored
from app.alerts.channels.inputs import (
    ChannelInput,
    ChannelName,
    Template,
    changed_values,
    checked_preview,
    new_values,
)
from app.alerts.channels.kind import KINDS
from app.api.alerts import one_of
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.inputs import Body, patch_of
from app.web import access
from app.web.current import current_dispatcher, current_store

UNKNOWN = "no channel has this id"

ChannelKind = Annotated[str, one_of(KINDS)]

route = Routes("alerts")


class AlertChannel(ApiModel):
    """A channel; `address` leaves out the secret parts of its address.

    `template` is null if the channel uses the ready-made one of its kind, or if its kind has none.
    `failing_since` says since when every attempt has failed, and `failure` says why the last
    attempt failed. Both are null while the channel works.
    """

    id: int
    kind: ChannelKind
    name: str
    address: str
    template: str | None
    enabled: bool
    created_at: datetime
    created_by: str | None
    failing_since: datetime | None
    failure: str | None


class MadeChannel(AlertChannel):
    """A new channel; `secret` signs the requests to a webhook, and is shown only this time.

    It is null for other kinds.
    """

    secret: str | None


class ChannelList(ApiModel):
    """All channels, the oldest first."""

    channels: list[AlertChannel]
    next: str | None = None


class ChannelBody(ChannelInput, Body):
    """A new channel; mail needs `to`, and every other kind needs `url`, except `pagerduty`.

    `pagerduty` needs `secret`, its integration key. The `url` of `telegram` is
    `https://api.telegram.org/bot<token>/sendMessage?chat_id=<chat>`, and that of `ntfy` ends with
    the topic.
    """

    kind: ChannelKind
    name: ChannelName


class ChannelChange(patch_of(ChannelInput, {"template"})):  # type: ignore[misc]  # made here
    """The fields of a channel to change; null makes `template` the ready-made one again."""


class PreviewBody(Body):
    """A template to preview; by default the ready-made one of its kind."""

    kind: ChannelKind
    template: Template | None = None


class Preview(ApiModel):
    """The body that a channel would send for an example; null for mail.

    `names` has the placeholders of the kind with their meaning.
    """

    body: str | None
    names: dict[str, str]


class TestResult(ApiModel):
    """The result of a test: `delivered`, or `parked`; the notification has the reason."""

    notice_id: int
    state: str


@route("GET /api/alerts/channels", access.reads)
def get_channels() -> ChannelList:
    """List the channels that send notifications."""
    with current_store().read() as conn:
        found = stored.list_channels(conn)
    return ChannelList(channels=[AlertChannel(**_shape(channel)) for channel in found])


@route("POST /api/alerts/channels", access.writes, status=201)
def post_channel(body: ChannelBody) -> MadeChannel:
    """Add a channel.

    :raise AlertError: a field is wrong, or sending to the address is not allowed (422).
    """
    given = body.model_dump(exclude={"kind"}, exclude_none=True)
    # Before the write transaction, since it may use the network.
    values = new_values(KINDS[body.kind], given, current_dispatcher().targets)
    with current_store().write() as conn:
        made = stored.add_channel(conn, values, access.caller())
    return MadeChannel(**_shape(made), secret=made.secret if made.about.is_signed else None)


@route("POST /api/alerts/channels/preview", access.writes)
def post_channel_preview(body: PreviewBody) -> Preview:
    """Show what a channel would send for an example, with its secrets masked.

    :raise AlertError: the template cannot be used (422).
    """
    kind = KINDS[body.kind]
    return Preview(body=checked_preview(kind, body.template), names=kind.names())


@route("PATCH /api/alerts/channels/<int:channel_id>", access.writes)
def patch_channel(channel_id: int, body: ChannelChange) -> AlertChannel:
    """Change a channel, or switch it on or off.

    :raise 404: no channel has this id. :raise AlertError: a field is wrong (422).
    """
    given = body.changes()
    with current_store().read() as conn:
        channel = _find(conn, channel_id)
    changes = changed_values(channel.about, given, current_dispatcher().targets)
    with current_store().write() as conn:
        changed = stored.change_channel(conn, _find(conn, channel_id), changes)
    return AlertChannel(**_shape(changed))


@route("DELETE /api/alerts/channels/<int:channel_id>", access.writes)
def delete_channel(channel_id: int) -> None:
    """Delete a channel with its address; its notifications stay in the list.

    :raise 404: no channel has this id.
    """
    with current_store().write() as conn:
        if not stored.remove_channel(conn, channel_id):
            abort(404, description=UNKNOWN)


@route("POST /api/alerts/channels/<int:channel_id>/test", access.writes)
def post_channel_test(channel_id: int) -> TestResult:
    """Send a test notification by a channel; one attempt, without a retry.

    :raise 404: no channel has this id.
    """
    with current_store().read() as conn:
        channel = _find(conn, channel_id)
    notice_id, state = current_dispatcher().test(channel)
    return TestResult(notice_id=notice_id, state=state)


def _find(conn: Connection, channel_id: int) -> stored.Channel:
    return stored.find_channel(conn, channel_id) or abort(404, description=UNKNOWN)


def _shape(channel: stored.Channel) -> dict[str, Any]:
    names = AlertChannel.model_fields.keys() - {"address"}
    return {name: getattr(channel, name) for name in names} | {"address": channel.shown}
