"""Whether alerts reach anybody: failing channels, and projects whose rules have no channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection

from app.alerts.channels.stored import Channel, chosen, list_channels
from app.alerts.rules.stored import rules_in_force


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


def find_reach(conn: Connection, watched: Mapping[int, str]) -> Reach:
    """Return the problems that keep alerts from reaching anybody.

    :param watched: names by id of the projects in which rules are evaluated.
    """
    channels = list_channels(conn)
    is_on = any(channel.enabled for channel in channels)
    failing = [channel for channel in channels if channel.enabled and channel.failing_since]
    if not is_on:
        return Reach(failing, False, {})
    in_force = rules_in_force(conn, sorted(watched))
    unheard = {of for rule, of in in_force if not chosen(channels, rule.channel_ids)}
    return Reach(failing, True, {of: watched[of] for of in sorted(unheard)})
