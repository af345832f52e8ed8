"""Channels: where notifications go. What an address or a secret holds is never shown again."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text, true, update

from app.alerts import mail
from app.alerts.errors import AlertError
from app.alerts.outcomes import Outcome
from app.alerts.tables import UNSENT, alert_channels, notice_sendings
from app.alerts.targets import TargetError, Targets, parse
from app.protocol.event import clean_text
from app.store import utc_now

# A channel's kind to what its address is called.
KINDS = {"email": "to", "webhook": "url", "slack": "url"}
MAX_NAME = 100
MAX_CHANNELS = 50
MIN_SECRET, MAX_SECRET = 16, 200
# Row ids of this table are 32 bits wide.
MAX_CHANNEL_ID = 2**31 - 1


@dataclass(frozen=True)
class Channel:
    """A channel as it is kept. Printing it shows neither address nor secret.

    :param failing_since: since when every attempt has failed, and ``failure`` why the last one did.
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

    @property
    def shown(self) -> str:
        """What may be shown of the address: mail addresses, of a URL the host and nothing else."""
        if KINDS[self.kind] == "to":
            return self.address
        return f"{parse(self.address).origin}/…"


@dataclass(frozen=True)
class Wanted:
    """What a channel is to be, checked."""

    kind: str
    name: str
    address: str = field(repr=False)
    secret: str | None = field(repr=False)


def checked(
    targets: Targets,
    *,
    kind: str,
    name: str,
    url: str | None = None,
    to: str | None = None,
    secret: str | None = None,
) -> Wanted:
    """Return a channel that can be kept; asks the network for the address of a URL's host.

    :param secret: signs what a webhook is sent; by default one is made.
    :raise AlertError: it cannot be kept.
    """
    if kind not in KINDS:
        raise AlertError("kind", f"one of {', '.join(KINDS)} is expected")
    wanted, other = (to, url) if KINDS[kind] == "to" else (url, to)
    if not wanted:
        raise AlertError(KINDS[kind], "an address is expected")
    if other:
        given = "url" if KINDS[kind] == "to" else "to"
        raise AlertError(given, f"a channel of kind {kind} has none")
    return Wanted(
        kind, checked_name(name), _address(targets, kind, wanted.strip()), _secret(kind, secret)
    )


def checked_changes(targets: Targets, channel: Channel, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be changed of a channel, for :func:`change_channel`.

    :param given: any of ``name``, ``url`` or ``to``, ``secret``, ``enabled``.
    :raise AlertError: one of them cannot be kept.
    """
    own = KINDS[channel.kind]
    changes = {"enabled": given["enabled"]} if "enabled" in given else {}
    if "name" in given:
        changes["name"] = checked_name(given["name"])
    if own in given:
        changes["address"] = _address(targets, channel.kind, given[own].strip())
    if "secret" in given:
        changes["secret"] = _secret(channel.kind, given["secret"])
    if other := {"url", "to"} & set(given) - {own}:
        raise AlertError(other.pop(), f"a channel of kind {channel.kind} has none")
    return changes


def checked_name(name: str) -> str:
    """Return a name as it is kept.

    :raise AlertError: it is none.
    """
    name = clean_text(name.strip())
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise AlertError("name", f"1 to {MAX_NAME} characters are expected")
    return name


def add_channel(
    conn: Connection, wanted: Wanted, enabled: bool = True, created_by: str | None = None
) -> Channel:
    """Keep a channel.

    :raise AlertError: there are too many.
    """
    if conn.execute(select(func.count()).select_from(alert_channels)).scalar_one() >= MAX_CHANNELS:
        raise AlertError("kind", f"there are {MAX_CHANNELS} channels, and no more are kept")
    values = {name: getattr(wanted, name) for name in ("kind", "name", "address", "secret")}
    values |= {"enabled": enabled, "created_at": utc_now(), "created_by": created_by}
    row = conn.execute(insert(alert_channels).values(values).returning(alert_channels)).one()
    return Channel(**row._mapping)


def list_channels(conn: Connection) -> list[Channel]:
    """Return all channels, the oldest first."""
    rows = conn.execute(select(alert_channels).order_by(alert_channels.c.id))
    return [Channel(**row._mapping) for row in rows]


def find_channel(conn: Connection, channel_id: int) -> Channel | None:
    """Return one channel, ``None`` when it is not there."""
    if not 0 < channel_id <= MAX_CHANNEL_ID:
        return None
    row = conn.execute(select(alert_channels).where(alert_channels.c.id == channel_id)).first()
    return Channel(**row._mapping) if row else None


def change_channel(conn: Connection, channel: Channel, changes: dict[str, Any]) -> Channel:
    """Change fields of a channel: ``name``, ``address``, ``secret``, ``enabled``, all checked."""
    if not changes:
        return channel
    if "address" in changes:
        # Whether the new one works is not known yet.
        changes = changes | {"failing_since": None, "failure": None}
    statement = update(alert_channels).where(alert_channels.c.id == channel.id).values(changes)
    return Channel(**conn.execute(statement.returning(alert_channels)).one()._mapping)


def remove_channel(conn: Connection, channel_id: int) -> bool:
    """Remove a channel with its address and return whether it was there; its history stays."""
    if find_channel(conn, channel_id) is None:
        return False
    unsent = update(notice_sendings).where(notice_sendings.c.channel_id == channel_id, text(UNSENT))
    reason = "the channel was deleted"
    conn.execute(unsent.values(state="discarded", reason=reason, next_at=None))
    conn.execute(delete(alert_channels).where(alert_channels.c.id == channel_id))
    return True


def note_outcome(conn: Connection, channel_id: int | None, outcome: Outcome, now: datetime) -> None:
    """Remember whether a channel works, by what became of an attempt."""
    columns = alert_channels.c
    changes: dict[str, Any] = {"failing_since": None, "failure": None}
    if not outcome.is_sent:
        since = func.coalesce(columns.failing_since, now)
        changes = {"failing_since": since, "failure": clean_text(outcome.note)[:300] or "unknown"}
    # One that works is usually not written.
    is_news = columns.failing_since.is_not(None) if outcome.is_sent else true()
    here = columns.id == channel_id, columns.enabled.is_(True), is_news
    conn.execute(update(alert_channels).where(*here).values(changes))


def chosen(channels: Iterable[Channel], ids: Iterable[int] | None) -> list[Channel]:
    """Return those that are enabled, all of them or those with the ids."""
    wanted = None if ids is None else set(ids)
    return [
        channel
        for channel in channels
        if channel.enabled and (wanted is None or channel.id in wanted)
    ]


def _address(targets: Targets, kind: str, given: str) -> str:
    try:
        if KINDS[kind] == "to":
            return mail.addresses(given)
        targets.check(given)
        return given
    except mail.AddressError as error:
        raise AlertError("to", str(error)) from None
    except TargetError as error:
        raise AlertError("url", str(error)) from None


def _secret(kind: str, given: str | None) -> str | None:
    if kind != "webhook":
        if given:
            raise AlertError("secret", f"a channel of kind {kind} signs nothing")
        return None
    if not given:
        return secrets.token_urlsafe(32)
    if not MIN_SECRET <= len(given) <= MAX_SECRET or not given.isascii():
        raise AlertError("secret", f"{MIN_SECRET} to {MAX_SECRET} characters of ASCII are expected")
    return given
