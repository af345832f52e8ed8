"""A person: what is theirs in a text, a value or a file, by one identifier.

is_it       a whole value is the identifier: the id of a user, the name of a tag
in_text     the identifier is a word of a longer text
in_file     the identifier is in bytes that are no text, which keep their length
may_be_in   a quick test of a whole envelope, which is only sometimes wrongly true
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.erasing import patterns
from app.erasing.identifier import Identifier, Kind, is_email, is_unmistakable, normal_address
from app.erasing.patterns import ERASED, Pattern
from app.protocol.slug import read_slug

# Files that hold texts in compressed form: gzip, zip, zlib.
_COMPRESSED = re.compile(rb"\x1f\x8b\x08|PK\x03\x04|\x78[\x01\x5e\x9c\xda]|\x28\xb5\x2f\xfd")

# The shortest beginning of an identifier that is erased at the end of a text that was cut.
_SHORTEST_CUT = 6
# A shorter slug, such as a-b-de, is found in texts that are not about the person.
_SHORTEST_SLUG = 8


class Person:
    """A person, by an identifier.

    :param aliases: further values that are theirs within one envelope: the e-mail address and the
        IP address that stand beside the identifier in its user.
    """

    def __init__(self, identifier: Identifier, aliases: Iterable[str] = ()) -> None:
        self.identifier = identifier
        self.slug = _slug_of(identifier)
        self._patterns = _patterns_of(identifier)
        if self.slug:
            self._patterns += patterns.of_slug(self.slug, identifier.value)
        for alias in sorted(set(aliases)):
            self._patterns += _patterns_of_alias(alias)
        parts = {pattern.part for pattern in self._patterns}
        # Without a part that every text has, every text has to be searched.
        self._parts = () if "" in parts else tuple(sorted(parts))
        texts = [part.encode() for part in self._parts]
        texts += [part.encode("utf-16-le") for part in self._parts]
        self._bytes = tuple(texts)

    def with_aliases(self, aliases: Iterable[str]) -> Person:
        """Return the same person with values that are theirs within one envelope."""
        aliases = [alias for alias in aliases if not self.is_it(alias)]
        return Person(self.identifier, aliases) if aliases else self

    def is_it(self, value: object) -> bool:
        """Return whether a value is the identifier and nothing else."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            return False
        text = str(value).strip()
        kind, wanted = self.identifier.kind, self.identifier.value
        if kind is Kind.IP:
            return normal_address(text) == wanted
        if kind is Kind.EMAIL or is_unmistakable(wanted):
            return text.casefold() == wanted.casefold()
        return text == wanted

    def may_be_in(self, body: bytes) -> bool:
        """Return whether an inflated envelope may have something of the person."""
        if not self._parts:
            return True
        lower = body.lower()
        if any(part in lower for part in self._bytes):
            return True
        return bool(_COMPRESSED.search(body)) or patterns.is_oddly_encoded_bytes(lower)

    def in_text(self, text: str) -> str:
        """Return a text without the identifier; the same text if it is not in it."""
        if self._parts:
            lower = text.lower()
            if not any(part in lower for part in self._parts) and not patterns.is_oddly_encoded(
                lower
            ):
                return text
        for pattern in self._patterns:
            text = pattern.replace(text)
        return text

    def in_cut_text(self, text: str) -> str:
        """Return a text that was cut at its end, without the beginning of the identifier there.

        :param text: from a column that cuts longer texts.
        """
        lower = text.casefold()
        if self.identifier.is_unmistakable and len(lower) == len(text):
            for value in filter(None, (self.identifier.value.casefold(), self.slug)):
                for length in range(len(value) - 1, max(_SHORTEST_CUT, len(value) // 3) - 1, -1):
                    if lower.endswith(value[:length]):
                        return text[:-length] + ERASED
        return text

    def is_in_text(self, text: str) -> bool:
        """Return whether the identifier is in a text."""
        return self.in_text(text) != text

    def in_file(self, content: bytes) -> bytes:
        """Return bytes that are no text without the identifier, with the same length.

        It is looked for in UTF-8 and in UTF-16, as programs have it in memory.
        """
        if not self.identifier.is_unmistakable:
            return content
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            sought = re.escape(self.identifier.value.encode(encoding))
            content = re.sub(
                sought, lambda found: b"*" * len(found[0]), content, flags=re.IGNORECASE
            )
        return content


def _slug_of(identifier: Identifier) -> str:
    """Return the slug that a monitor has if its name is the identifier; empty if it says little."""
    is_ipv4 = identifier.kind is Kind.IP and "." in identifier.value  # Its patterns know dashes.
    if is_ipv4 or not identifier.is_unmistakable:
        return ""
    slug = read_slug(identifier.value)
    is_other = slug != identifier.value.casefold()
    return slug if is_other and len(slug) >= _SHORTEST_SLUG else ""


def _patterns_of(identifier: Identifier) -> list[Pattern]:
    text = identifier.value
    if identifier.kind is Kind.EMAIL:
        return patterns.of_email(text)
    if identifier.kind is Kind.IP:
        return patterns.of_address(text)
    if not identifier.is_unmistakable:
        return patterns.of_named_id(text)
    return patterns.of_email(text) if is_email(text) else patterns.of_word(text)


def _patterns_of_alias(text: str) -> list[Pattern]:
    if is_email(text):
        return patterns.of_email(text.casefold())
    if (address := normal_address(text)) is not None:
        return patterns.of_address(address)
    return patterns.of_word(text) if is_unmistakable(text) else []


__all__ = ["ERASED", "Person"]
