"""Logs as a kind of signal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.signals.kind import Signal, Stored
from app.signals.logs.blocks import add_to_blocks, newest_key
from app.signals.logs.counting import count_lines
from app.signals.logs.line import Line
from app.signals.logs.reading import ITEM_TYPE, read_lines
from app.signals.logs.releases import note_releases
from app.signals.logs.rows import insert_lines, next_id


class LogSignal(Signal):
    """The lines of logs."""

    item_types = frozenset({ITEM_TYPE})

    def read(self, stored: Stored) -> Sequence[Any]:
        """Return the lines of an envelope."""
        return read_lines(stored)

    def is_complete(self, found: Sequence[Any]) -> bool:
        """Return whether no line was cut, changed or left out."""
        return not any(line.cut for line in found)

    def write(self, conn: Connection, found: Sequence[Any], now: datetime) -> None:
        """Store lines with their tokens, the releases that they name, and count them."""
        write_lines(conn, found)
        note_releases(conn, found, now)
        count_lines(conn, found, now)


def write_lines(conn: Connection, lines: Sequence[Line]) -> None:
    """Store lines in the order of time, with their tokens."""
    if not lines:
        return
    first, newest = next_id(conn), newest_key(conn)
    by_time = sorted(lines, key=lambda line: line.at)
    for number, line in enumerate(by_time):
        line.id = first + number
    insert_lines(conn, by_time)
    add_to_blocks(conn, by_time, newest)
