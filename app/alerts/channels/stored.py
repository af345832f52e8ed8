"""Channels as rows. A stored address or secret is never shown again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text, true, update

from app.accounts import audit
from app.alerts.channels.kind import KINDS, ChannelKind, ChannelValues
from app.alerts.errors import AlertError
from app.alerts.outcomes import Outcome
from app.alerts.tables import UNSENT, alert_channels, notice_sendings
from app.protocol.event import clean_text
from app.store import utc_now

MAX_CHANNELS = 50
# Row ids of this table are 32 bits wide.
MAX_CHANNEL_ID = 2**31 - 1


@dataclass(frozen=True)
class Channel:
    """A stored channel. Its ``repr`` shows neither the address nor the secret.

    :param failing_since: since when every attempt has failed.
    :param failure: why the last attempt failed.
    """

    id: int
    kind: str
    name: str
    address: str = field(repr=False)
    secret: str | None = field(repr=False)
    enabled: bool
    created_at: datetime
    created_by: str | None
    failing_since: datetime | None = None
    failure: str | None = None
    template: str | None = field(default=None, repr=False)

    @property
    def values(self) -> ChannelValues:
        """What a person has set: it may hold secrets."""
        return ChannelValues(self.address, self.secret, self.template)

    @property
    def closes_incidents(self) -> bool:
        """Whether its receiver learns that an issue is resolved."""
        return self.about.closes_incidents(self.template)

    @property
    def about(self) -> ChannelKind:
        """The kind of this channel."""
        return KINDS[self.kind]

    @property
    def shown(self) -> str:
        """The part of the address that may be shown."""
        return self.about.shown_address(self.address)


def add_channel(
    conn: Connection, values: Mapping[str, Any], created_by: str | None = None
) -> Channel:
    """Store a new channel and return it.

    :param values: the result of :func:`app.alerts.channels.inputs.new_values`.
    :raise AlertError: there are :data:`MAX_CHANNELS` channels already.
    """
    if conn.execute(select(func.count()).select_from(alert_channels)).scalar_one() >= MAX_CHANNELS:
        raise AlertError({"kind": f"there are {MAX_CHANNELS} channels, and no more are kept"})
    row = {**values, "created_at": utc_now(), "created_by": created_by}
    made = conn.execute(insert(alert_channels).values(row).returning(alert_channels)).one()
    audit.note(conn, "channel_added", f"channel {made.name}", f"kind {made.kind}")
    return Channel(**made._mapping)


def list_channels(conn: Connection) -> list[Channel]:
    """Return all channels, oldest first."""
    rows = conn.execute(select(alert_channels).order_by(alert_channels.c.id))
    return [Channel(**row._mapping) for row in rows]


def find_channel(conn: Connection, channel_id: int) -> Channel | None:
    """Return one channel, ``None`` if there is no such channel."""
    if not 0 < channel_id <= MAX_CHANNEL_ID:
        return None
    row = conn.execute(select(alert_channels).where(alert_channels.c.id == channel_id)).first()
    return Channel(**row._mapping) if row else None


def change_channel(conn: Connection, channel: Channel, changes: dict[str, Any]) -> Channel:
    """Change columns of a channel.

    :param changes: the result of :func:`app.alerts.channels.inputs.changed_values`.
    :raise AlertError: the secret, which nobody is shown, would be sent to another host.
    """
    if not changes:
        return channel
    _keep_secret_from_others(channel, changes)
    if changes.keys() & {"address", "secret", "template"}:
        # It is not known yet whether the new value works.
        changes = changes | {"failing_since": None, "failure": None}
    audit.note(conn, "channel_changed", f"channel {channel.name}", ", ".join(sorted(changes)))
    statement = update(alert_channels).where(alert_channels.c.id == channel.id).values(changes)
    return Channel(**conn.execute(statement.returning(alert_channels)).one()._mapping)


def _keep_secret_from_others(channel: Channel, changes: Mapping[str, Any]) -> None:
    # A webhook sends a signature, and not the secret that it was made with.
    if "address" not in changes or "secret" in changes or channel.about.is_signed:
        return
    if channel.secret and channel.about.shown_address(changes["address"]) != channel.shown:
        text = f"the {channel.about.key_label.lower()} is expected again, because the host changes"
        raise AlertError({"secret": text})


def remove_channel(conn: Connection, channel_id: int) -> bool:
    """Remove a channel with its address. Return whether it existed. Its history stays."""
    channel = find_channel(conn, channel_id)
    if channel is None:
        return False
    audit.note(conn, "channel_deleted", f"channel {channel.name}")
    unsent = update(notice_sendings).where(notice_sendings.c.channel_id == channel_id, text(UNSENT))
    reason = "the channel was deleted"
    conn.execute(unsent.values(state="discarded", reason=reason, next_at=None))
    conn.execute(delete(alert_channels).where(alert_channels.c.id == channel_id))
    return True


def note_outcome(conn: Connection, channel_id: int | None, outcome: Outcome, now: datetime) -> None:
    """Store whether a channel works, derived from the outcome of an attempt."""
    columns = alert_channels.c
    changes: dict[str, Any] = {"failing_since": None, "failure": None}
    if not outcome.is_sent:
        since = func.coalesce(columns.failing_since, now)
        changes = {"failing_since": since, "failure": clean_text(outcome.note)[:300] or "unknown"}
    # A channel that worked before and still works is not written.
    is_news = columns.failing_since.is_not(None) if outcome.is_sent else true()
    here = columns.id == channel_id, columns.enabled.is_(True), is_news
    conn.execute(update(alert_channels).where(*here).values(changes))


def chosen(channels: Iterable[Channel], ids: Iterable[int] | None) -> list[Channel]:
    """Return the enabled channels.

    :param ids: return only channels with these ids; ``None`` for all.
    """
    wanted = None if ids is None else set(ids)
    return [
        channel
        for channel in channels
        if channel.enabled and (wanted is None or channel.id in wanted)
    ]
