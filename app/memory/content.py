"""When two memories have the same content, and what is stored of a new memory."""

from __future__ import annotations

import hashlib
import unicodedata
import uuid

from app.memory.inputs import MAX_KIND, MAX_TAG, MemoryBody
from app.memory.scope import Scope
from app.protocol.scrub import Finding, Scrubber

# Generated once, only for these ids.
NAMESPACE = uuid.UUID("8d0c0a5e-6a0e-4b7e-9d0e-5f3a5f5c2b71")


def without_secrets(body: MemoryBody, scrubber: Scrubber) -> tuple[MemoryBody, list[Finding]]:
    """Return a memory without its secrets, and the findings of the scrubber.

    The whole memory is scrubbed at once: a password that the metadata name is removed from the
    content too. If scrubbing makes two tags equal, one of them is kept.
    """
    given = body.model_dump(include={"content", "kind", "tags", "metadata"})
    clean, findings = scrubber.scrub(given)
    if not findings:
        return body, findings
    # The replacement of a secret may be longer than the secret.
    clean["kind"] = clean["kind"] and clean["kind"][:MAX_KIND]
    clean["tags"] = list(dict.fromkeys(tag[:MAX_TAG] for tag in clean["tags"]))
    return body.model_copy(update=clean), findings


def normalise(content: str) -> str:
    """Return a text in Unicode form NFC, with each run of white space as one space."""
    return " ".join(unicodedata.normalize("NFC", content).split())


def digest_of(scope: Scope, content: str) -> str:
    """Return the digest by which a user's content is found: 64 hex digits.

    The same content of another agent or run has another digest.
    """
    return hashlib.sha256(_named(scope, content).encode()).hexdigest()


def id_of(scope: Scope, content: str) -> str:
    """Return the id of a content. It is always the same for the same scope and content."""
    return str(uuid.uuid5(NAMESPACE, f"{scope.user_id}\0{_named(scope, content)}"))


def _named(scope: Scope, content: str) -> str:
    # No id and no content contains NUL, so two different scopes never give the same text. Without
    # agent and run it is the text of earlier versions, which had no scopes.
    if scope.is_whole_user:
        return normalise(content)
    return f"{scope.agent_id or ''}\0{scope.run_id or ''}\0{normalise(content)}"
