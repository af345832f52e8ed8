"""What a kind of signal is: the items it is read from, and the rows it becomes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import Connection

from app.protocol.envelope import Envelope


class Stored(NamedTuple):
    """A stored envelope, with its items.

    :param id: the row id of the envelope.
    :param event_id: the event or transaction that the envelope is about, if any.
    """

    id: int
    project_id: int
    event_id: str | None
    received_at: datetime
    envelope: Envelope


class Signal(ABC):
    """A kind of signal. The walk reads each envelope once for all kinds."""

    # The types of items that this kind is read from.
    item_types: ClassVar[frozenset[str]]

    @abstractmethod
    def read(self, stored: Stored) -> Sequence[Any]:
        """Return what an envelope has of this kind. Runs without a transaction, and is lenient."""

    def is_complete(self, found: Sequence[Any]) -> bool:
        """Return whether :meth:`read` returned all that an envelope has of this kind."""
        return True

    @abstractmethod
    def write(self, conn: Connection, found: Sequence[Any], now: datetime) -> None:
        """Write what :meth:`read` returned for the envelopes of a batch, oldest first."""
