"""Erase a person from a stored envelope: its headers, and every item of every kind.

An envelope is **of the person** if the user of its event, transaction or replay is the person, or
the person wrote its feedback. Then what cannot be read as text is removed as well: screenshots,
dumps, recordings. So is the feedback. In all other envelopes only what names the person is erased.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.erasing.contents import as_text, erase_content
from app.erasing.person import Person
from app.erasing.values import ValueEraser, aliases_of, is_user
from app.protocol.envelope import Envelope, Item, load_json, parse_envelope, serialize_envelope
from app.protocol.feedback import USER_REPORT, is_feedback
from app.protocol.lenient import read_dict

ATTACHMENT = "attachment"
# Recordings of a screen, which are no text.
_RECORDINGS = frozenset({"replay_recording", "replay_video"})


@dataclass
class Erased:
    """The result for one envelope.

    :param envelope: without the person. :param is_changed: whether anything was found.
    :param is_of_person: see above.
    :param person: the person, with what stands beside the identifier in their user.
    :param dids: users of sessions that were the person.
    :param attachments: how many files were removed or changed.
    :param feedback: how many feedback items were removed.
    """

    envelope: Envelope
    person: Person
    is_changed: bool = False
    is_of_person: bool = False
    dids: set[str] = field(default_factory=set)
    attachments: int = 0
    feedback: int = 0

    @property
    def body(self) -> bytes:
        """The envelope in wire form."""
        return serialize_envelope(self.envelope)


def erase_body(body: bytes, person: Person, *, is_of_person: bool = False) -> Erased:
    """Return the envelope in an inflated body without the person.

    :param is_of_person: it is known to be: it has a file of an event of the person.
    :raise ValueError: the envelope is damaged.
    """
    envelope = parse_envelope(body)
    users = [user for user in _users_of(envelope) if is_user(person, user)]
    wrote = any(_wrote(person, item) for item in envelope.items)
    person = person.with_aliases(alias for user in users for alias in aliases_of(user))
    erased = Erased(envelope, person, is_of_person=is_of_person or bool(users) or wrote)
    erased.dids = set(_dids_of(envelope, person))
    values = ValueEraser(person)
    envelope.headers = values.erase(envelope.headers)
    envelope.items = [item for item in envelope.items if _stays(item, values, erased)]
    erased.is_changed = bool(values.count or erased.attachments or erased.feedback)
    return erased


def _stays(item: Item, values: ValueEraser, erased: Erased) -> bool:
    """Erase the person from an item, and return whether the item stays."""
    if erased.is_of_person and is_feedback(item):
        erased.feedback += 1
        return False
    if erased.is_of_person and _is_opaque(item):
        erased.attachments += 1
        return False
    item.headers = values.erase(item.headers)
    if not isinstance(item.payload, bytes):
        item.payload = values.erase(item.payload)
        return True
    content = erase_content(item.payload, values.person)
    if content != item.payload:
        values.count += 1
        erased.attachments += item.type == ATTACHMENT
    item.payload = content
    return content is not None


def _is_opaque(item: Item) -> bool:
    if item.type in _RECORDINGS:
        return True
    is_file = item.type == ATTACHMENT and isinstance(item.payload, bytes)
    return is_file and as_text(item.payload) is None


def _users_of(envelope: Envelope) -> Iterator[dict[str, Any]]:
    for item in envelope.items:
        payload = _object(item)
        for name in ("user", "sentry.interfaces.User"):
            if user := read_dict(payload.get(name)):
                yield user


def _object(item: Item) -> dict[str, Any]:
    if isinstance(item.payload, bytes) and item.type == "replay_event":
        try:
            return read_dict(load_json(item.payload))
        except (ValueError, RecursionError):
            return {}
    return item.payload if isinstance(item.payload, dict) else {}


def _wrote(person: Person, item: Item) -> bool:
    if not is_feedback(item):
        return False
    payload = _object(item)
    if item.type == USER_REPORT:
        return person.is_it(payload.get("email"))
    said = read_dict(read_dict(payload.get("contexts")).get("feedback"))
    return person.is_it(said.get("contact_email"))


def _dids_of(envelope: Envelope, person: Person) -> Iterator[str]:
    for item in envelope.items:
        if item.type not in ("session", "sessions"):
            continue
        payload = _object(item)
        groups = payload.get("aggregates")
        for one in (payload, *(groups if isinstance(groups, list) else ())):
            if isinstance(one, dict) and person.is_it(did := one.get("did")):
                yield str(did)
