"""The identifier of a person: an id, an e-mail address or an IP address, checked and normalised.

It is personal data itself. So it stands in no log, no row and no ``repr``: what is kept of it is
:meth:`Identifier.digest`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address

from app.protocol.event import clean_text

# Longer ids are cut where they are stored (`memory_users.user_id`).
MAX_LENGTH = 320
_EMAIL = re.compile(r"[^\s@<>\"',;:()\[\]\\]{1,64}@[^\s@<>\"',;:()\[\]\\]{1,255}")
_LETTER, _DIGIT = re.compile(r"[^\W\d_]"), re.compile(r"\d")
# From this length on, an id with letters and digits stands for one person, wherever it is found.
_UNMISTAKABLE_LENGTH = 8


class Kind(StrEnum):
    """What an identifier is."""

    USER_ID = "user_id"
    EMAIL = "email"
    IP = "ip"


class WrongIdentifier(ValueError):
    """The text is no identifier of this kind. The message does not repeat it."""


@dataclass(frozen=True)
class Identifier:
    """An identifier of a person.

    :param value: normalised: an e-mail address in lower case, an IP address in its usual form (IPv4
        if it is an IPv4 address within IPv6), an id as it was given.
    """

    kind: Kind
    value: str = field(repr=False)

    @classmethod
    def of(cls, kind: Kind | str, text: str) -> Identifier:
        """Return the identifier in a text.

        :raise WrongIdentifier: the text is no identifier of this kind.
        """
        kind, text = Kind(kind), clean_text(text).strip()
        if not text or len(text) > MAX_LENGTH:
            raise WrongIdentifier(f"1 to {MAX_LENGTH} characters are expected")
        if kind is Kind.EMAIL:
            return cls(kind, _checked_email(text))
        if kind is Kind.USER_ID and not any(map(str.isalnum, text)):
            raise WrongIdentifier(
                "an id with a letter or a digit is expected; there are no patterns"
            )
        return cls(kind, _checked_address(text) if kind is Kind.IP else text)

    @property
    def is_unmistakable(self) -> bool:
        """Whether the identifier is erased wherever it is found as a word of its own.

        Every e-mail address and IP address is. An id is if it has letters and digits and at least
        eight characters, like a UUID: ``42`` and ``ann`` are found in many texts that are not about
        the person.
        """
        if self.kind is not Kind.USER_ID:
            return True
        return is_unmistakable(self.value)

    def digest(self, secret: str | bytes) -> str:
        """Return a hash of the identifier, 64 hex digits, for the report and the audit log.

        It is keyed, because all IPv4 addresses can be hashed within minutes.

        :param secret: a secret of this instance.
        """
        key = secret.encode() if isinstance(secret, str) else secret
        said = f"erase\0{self.kind}\0{self.value}".encode("utf-8", "replace")
        return hmac.new(key, said, hashlib.sha256).hexdigest()


def is_unmistakable(text: str) -> bool:
    """Return whether an id stands for one person, wherever it is found."""
    if _EMAIL.fullmatch(text):
        return True
    has_both = bool(_LETTER.search(text) and _DIGIT.search(text))
    return len(text) >= _UNMISTAKABLE_LENGTH and has_both


def is_email(text: str) -> bool:
    """Return whether a text is an e-mail address and nothing else."""
    return bool(_EMAIL.fullmatch(text))


def normal_address(text: str) -> str | None:
    """Return an IP address in its usual form, ``None`` if the text is no address.

    Brackets, a port and a zone are left out. An IPv4 address within IPv6 becomes IPv4.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    parts = text.split(".")
    if len(parts) == 4 and all(part.isascii() and part.isdigit() for part in parts):
        text = ".".join(part.lstrip("0") or "0" for part in parts)
    try:
        address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def _checked_email(text: str) -> str:
    # Not `casefold`, which makes "ss" of "ß": no text would have the address then.
    text = text.lower().removeprefix("mailto:")
    if not is_email(text) or "*" in text:
        raise WrongIdentifier("an e-mail address is expected, such as ann@shop.example")
    return text


def _checked_address(text: str) -> str:
    address = normal_address(text)
    if address is None:
        raise WrongIdentifier("an IPv4 or IPv6 address is expected, such as 203.0.113.9")
    return address
