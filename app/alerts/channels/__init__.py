"""Channels: where notifications are sent. A kind of channel is one class in a module here.

kind       the base class of kinds: label, address, how it sends
templated  the base class of kinds whose body is a template. The other modules are the kinds.
inputs     the fields of a channel that a person may set
stored     channels as rows: add, list, change and remove them
"""

from app.alerts.channels.kind import KINDS

KINDS.load(__name__, __path__)
