"""The fake's record: all accepted and refused requests, in a file that stays after a SIGKILL.

The fake writes a line of JSON before the answer, and another line when the request has ended. The
reader joins the two lines. Tests count losses and duplicates from the record.
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
    """Appends lines without a buffer, so that SIGKILL loses no line that was written."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        # If a SIGKILL has cut the last line, the next line must not be appended to it.
        os.write(self._fd, b"\n")

    def note(self, line: Entry) -> None:
        os.write(self._fd, json.dumps(line).encode() + b"\n")


class RecordReader:
    """Reads the file while it grows; thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._entries: dict[tuple[int, int], Entry] = {}
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """Return every request so far, in the order of the file."""
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
            # The line is empty, or a SIGKILL has cut it: then its request was not answered.
            return
        key = noted["server"], noted["request"]
        self._entries.setdefault(key, {"ended": None, "answered": False}).update(noted)


class Repeat(NamedTuple):
    """An event that was accepted again.

    ``answered_before``: an earlier request with it was answered, so the repetition was avoidable.
    """

    event_id: str
    entry: Entry
    answered_before: bool


def repeats_in(accepted: Iterable[Entry]) -> list[Repeat]:
    """Return every repeated acceptance of an event, in order."""
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
    """Return the pairs of requests that sent the same envelope on two connections at once.

    Envelopes are the same if they have the same event id, or the same bytes after the header. A
    request ends when its answer is sent or its client disconnects.
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
