"""Recorded requests of real clients; ``index.json`` has the expected content of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "data" / "envelopes"
# The projects and keys of the recorded clients.
PROJECTS = {
    42: ["a1b2c3d4e5f60718293a4b5c6d7e8f90", "pub", "pubkey0123"],
    43: ["0f1e2d3c4b5a69788796a5b4c3d2e1f0"],
    44: ["c11c22c33c44c55c66c77c88c99c00c1"],
    45: ["b0b1b2b3b4b5b6b7b8b9c0c1c2c3c4c5"],
    46: ["pub11"],
}


@dataclass(frozen=True)
class Recorded:
    """A recorded request, with its entry in the index."""

    name: str
    path: str
    headers: list[tuple[str, str]]
    was_chunked: bool
    body: bytes
    entry: dict[str, Any]

    @property
    def expected(self) -> dict[str, Any]:
        return self.entry.get("expected") or {}

    @property
    def event_id(self) -> str | None:
        given = self.entry.get("envelope_event_id") or self.expected.get("event_id")
        return given and given.replace("-", "").lower()

    @property
    def has_event(self) -> bool:
        if self.entry["kind"] == "store":
            return True
        return any(item["type"] == "event" for item in self.entry["items"])


def load() -> list[Recorded]:
    index = json.loads((FOLDER / "index.json").read_text())
    return [_load(entry) for entry in index["entries"]]


def _load(entry: dict[str, Any]) -> Recorded:
    recorded = json.loads((FOLDER / f"{entry['file']}.headers.json").read_text())
    return Recorded(
        name=entry["file"],
        path=recorded["path"],
        headers=[(name, value) for name, value in recorded["headers"]],
        was_chunked=recorded["was_chunked"],
        body=(FOLDER / f"{entry['file']}.body").read_bytes(),
        entry=entry,
    )
