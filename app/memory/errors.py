"""What a memory is refused for::

Refused
├── SameContent   another memory of the user says the same
└── TooMany       the user has as many as are kept
"""

from __future__ import annotations

from app.inputs import Conflict


class Refused(Conflict):
    """What was asked for cannot be done; the message says what can."""


class SameContent(Refused):
    """Another memory has this content.

    :param id: its id.
    """

    def __init__(self, id: str) -> None:
        super().__init__(f"the memory {id} has this content: change or delete that one")
        self.id = id


class TooMany(Refused):
    """The user has as many memories as are kept."""
