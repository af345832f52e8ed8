"""Channels: where notifications go. A kind of channel is one class in a module of this package.

kind     what a kind is: its label, its address, how it sends; the kinds are the other modules
inputs   what a person may set of a channel
stored   channels as rows: added, listed, changed, removed
"""

from app.alerts.channels.kind import KINDS

KINDS.load(__name__, __path__)
