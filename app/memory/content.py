"""What makes two memories the same, and what of a new one is stored."""

from __future__ import annotations

import hashlib
import unicodedata
import uuid

from app.memory.inputs import MAX_KIND, MAX_TAG, MemoryBody
from app.protocol.scrub import Finding, Scrubber

# Made once, for this purpose alone.
NAMESPACE = uuid.UUID("8d0c0a5e-6a0e-4b7e-9d0e-5f3a5f5c2b71")


def without_secrets(body: MemoryBody, scrubber: Scrubber) -> tuple[MemoryBody, list[Finding]]:
    """Return a memory as it may be stored, and what was taken out of it.

    All of it is scrubbed at once: a password that the metadata name is taken out of the content,
    too. Two tags that become the same are one.
    """
    given = body.model_dump(include={"content", "kind", "tags", "metadata"})
    clean, findings = scrubber.scrub(given)
    if not findings:
        return body, findings
    # What stands for a secret may be longer than it.
    clean["kind"] = clean["kind"] and clean["kind"][:MAX_KIND]
    clean["tags"] = list(dict.fromkeys(tag[:MAX_TAG] for tag in clean["tags"]))
    return body.model_copy(update=clean), findings


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
