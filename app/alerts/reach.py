"""Whether alerts reach anybody: failing channels, and projects whose rules have no channel."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, select

from app.alerts.channels.stored import Channel, chosen, list_channels
from app.alerts.rules.stored import watches
from app.projects import projects


class Reach(NamedTuple):
    """The problems that keep alerts from reaching anybody.

    :param failing: enabled channels that fail.
    :param has_channel: whether any channel is enabled.
    :param unheard: names by id of the projects with a rule that has no enabled channel. It is empty
        if no channel is enabled at all.
    """

    failing: list[Channel]
    has_channel: bool
    unheard: dict[int, str]


def find_reach(conn: Connection) -> Reach:
    """Return the problems that keep alerts from reaching anybody."""
    channels = list_channels(conn)
    is_on = any(channel.enabled for channel in channels)
    failing = [channel for channel in channels if channel.enabled and channel.failing_since]
    if not is_on:
        return Reach(failing, False, {})
    unheard = {rule.project_id for rule in watches(conn) if not chosen(channels, rule.channel_ids)}
    names = select(projects.c.id, projects.c.name).where(projects.c.id.in_(unheard))
    rows = conn.execute(names.order_by(projects.c.id)) if unheard else ()
    return Reach(failing, True, {row.id: row.name for row in rows})
