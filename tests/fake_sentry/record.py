"""The fake's record: what it accepted and refused, in a file that outlives it.

A line of JSON is written before the answer and one more when the request has ended; the reader
puts the two together. Loss and duplicates are counted from it.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

Entry = dict[str, Any]


class RecordFile:
    """Appends, one line at a time and unbuffered: SIGKILL takes nothing that was noted."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        # A line that a SIGKILL cut in two must not swallow the next one.
        os.write(self._fd, b"\n")

    def note(self, line: Entry) -> None:
        os.write(self._fd, json.dumps(line).encode() + b"\n")


class RecordReader:
    """Reads the file on while it grows; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._entries: dict[tuple[int, int], Entry] = {}
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """Every request so far, in the order in which they were read."""
        with self._lock:
            self._read_on()
            return [dict(entry) for entry in self._entries.values()]

    def _read_on(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        for line in whole.splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            noted = json.loads(line)
        except ValueError:
            # Cut by a SIGKILL, or empty: what it was about was not answered.
            return
        key = noted["server"], noted["request"]
        self._entries.setdefault(key, {"ended": None, "answered": False}).update(noted)


class Repeat(NamedTuple):
    """An event that was accepted once more.

    ``answered_before``: its sender had been sent an answer already, so this one was avoidable.
    """

    event_id: str
    entry: Entry
    answered_before: bool


def repeats_in(accepted: Iterable[Entry]) -> list[Repeat]:
    """Every acceptance of an event after its first, in order."""
    found: list[Repeat] = []
    before: dict[str, list[Entry]] = defaultdict(list)
    for entry in accepted:
        for event_id in entry["event_ids"]:
            if before[event_id]:
                answered = any(earlier["answered"] for earlier in before[event_id])
                found.append(Repeat(event_id, entry, answered))
            before[event_id].append(entry)
    return found


def overlaps_in(requests: Iterable[Entry]) -> list[tuple[Entry, Entry]]:
    """The pairs of requests that had the same envelope under way on two connections at once.

    The same is what has one event id, or the same bytes after the header. A request has ended when
    its answer was sent or its client had left.
    """
    same: dict[tuple[int, str], list[Entry]] = defaultdict(list)
    for entry in requests:
        for mark in filter(None, {entry.get("event_id"), entry.get("digest")}):
            same[entry["server"], mark].append(entry)
    pairs = {}
    for group in same.values():
        for first, second in _overlapping(sorted(group, key=lambda entry: entry["started"])):
            pairs[first["server"], first["request"], second["request"]] = (first, second)
    return list(pairs.values())


def _overlapping(group: list[Entry]) -> Iterable[tuple[Entry, Entry]]:
    longest = group[0]
    for entry in group[1:]:
        if entry["started"] < _end(longest) and entry["connection"] != longest["connection"]:
            yield longest, entry
        if _end(entry) > _end(longest):
            longest = entry


def _end(entry: Entry) -> float:
    return math.inf if entry["ended"] is None else float(entry["ended"])
