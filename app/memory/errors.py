"""Reasons to refuse a memory::

Refused
├── SameContent   another memory of the user has the same content
├── Contended     other requests change the memory all the time
└── TooMany       the user has the largest number of memories
"""

from __future__ import annotations

from app.inputs import Conflict


class Refused(Conflict):
    """The request cannot be carried out. The message says what the client can do instead."""


class SameContent(Refused):
    """Another memory has this content.

    :param id: of the other memory.
    """

    def __init__(self, id: str) -> None:
        super().__init__(f"the memory {id} has this content: change or delete that one")
        self.id = id


class Contended(Refused):
    """Other requests changed the memory each time that this one tried to."""


class TooMany(Refused):
    """The user has the largest number of memories that is allowed."""
