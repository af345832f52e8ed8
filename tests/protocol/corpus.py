"""Recorded requests of real clients in ``tests/data/envelopes``, with their expected content."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import brotli

from app.protocol.envelope import Envelope, Item, parse_envelope

FOLDER = Path(__file__).parent.parent / "data" / "envelopes"
ENTRIES: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text())["entries"]
EVENTS = [entry for entry in ENTRIES if entry["expected"]["item"] == "event"]


def inflated(entry: dict[str, Any]) -> bytes:
    """Return the body of a request after all encodings were undone."""
    body = (FOLDER / f"{entry['file']}.body").read_bytes()
    match entry["content_encoding"]:
        case "gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
        case "br":
            return brotli.decompress(body)
    is_bare = entry["kind"] == "store" and not body.startswith(b"{")
    return zlib.decompress(base64.b64decode(body)) if is_bare else body


def envelope_of(entry: dict[str, Any]) -> Envelope:
    """Return a request as an envelope; an event of an old client becomes its only item."""
    body = inflated(entry)
    if entry["kind"] == "envelope":
        return parse_envelope(body)
    return Envelope({}, [Item({"type": "event"}, json.loads(body))])


def payload_of(name: str) -> dict[str, Any]:
    """Return the event that the request ``name`` carries."""
    entry = next(entry for entry in EVENTS if entry["file"] == name)
    item = envelope_of(entry).event()
    assert item is not None
    return dict(item.payload)
