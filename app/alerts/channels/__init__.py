"""Channels: where notices go. A kind of channel is one class in a module of this package.

kind     what a kind is: its label, its address, how it sends; the kinds are the other modules
inputs   what a person may set of a channel
stored   channels as rows: added, listed, changed, removed
"""

from app.alerts.channels.inputs import changed_values, new_values
from app.alerts.channels.kind import KINDS, ChannelKind, Senders
from app.alerts.channels.stored import (
    Channel,
    add_channel,
    change_channel,
    chosen,
    find_channel,
    list_channels,
    note_outcome,
    remove_channel,
)

__all__ = [
    "KINDS",
    "Channel",
    "ChannelKind",
    "Senders",
    "add_channel",
    "change_channel",
    "changed_values",
    "chosen",
    "find_channel",
    "list_channels",
    "new_values",
    "note_outcome",
    "remove_channel",
]

KINDS.load(__name__, __path__)
