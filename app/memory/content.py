"""What makes two memories the same, and what a new one may be."""

from __future__ import annotations

import hashlib
import unicodedata
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from app.protocol.scrub import Finding, Scrubber

# Made once, for this purpose alone.
NAMESPACE = uuid.UUID("8d0c0a5e-6a0e-4b7e-9d0e-5f3a5f5c2b71")
# Characters; a text of this length takes 40 ms of CPU to embed, one of 200,000 takes 0.6 s.
MAX_CONTENT = 32_000
MAX_USER_ID = 200
MAX_KIND = 64
MAX_TAG = 64
MAX_TAGS = 32


@dataclass(frozen=True)
class Draft:
    """What somebody wants to be kept; ``expires_at`` is aware."""

    content: str
    kind: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None


@dataclass(frozen=True)
class SearchOptions:
    """What a search is narrowed to; ``min_score`` is a cosine."""

    limit: int = 10
    min_score: float | None = None
    kind: str | None = None
    tags: tuple[str, ...] = ()


def without_secrets(draft: Draft, scrubber: Scrubber) -> tuple[Draft, list[Finding]]:
    """Return a draft as it may be stored, and what was taken out of it.

    All of it is scrubbed at once: a password that the metadata name is taken out of the content,
    too. Two tags that become the same are one.
    """
    given = {
        "content": draft.content,
        "kind": draft.kind,
        "tags": list(draft.tags),
        "metadata": draft.metadata,
    }
    clean, findings = scrubber.scrub(given)
    if not findings:
        return draft, findings
    return replace(
        draft,
        content=clean["content"],
        # What stands for a secret may be longer than it.
        kind=clean["kind"] and clean["kind"][:MAX_KIND],
        tags=tuple(dict.fromkeys(tag[:MAX_TAG] for tag in clean["tags"])),
        metadata=clean["metadata"],
    ), findings


def normalise(content: str) -> str:
    """Return what two texts have in common that say the same: Unicode's form, spaces as one."""
    return " ".join(unicodedata.normalize("NFC", content).split())


def digest_of(content: str) -> str:
    """Return what a content is found by, 64 hex digits."""
    return hashlib.sha256(normalise(content).encode()).hexdigest()


def id_of(user_id: str, content: str) -> str:
    """Return the id of a user's content, always the same one."""
    # No user id has a NUL, so that no two pairs make the same name.
    return str(uuid.uuid5(NAMESPACE, f"{user_id}\0{normalise(content)}"))
