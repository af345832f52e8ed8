"""Patterns: where an identifier stands in a text, in plain and in encoded form.

Each pattern replaces what it finds with :data:`ERASED`, and leaves the rest of the text as it is.
An identifier is found as a word of its own: ``ann@shop.example`` is not found in
``joann@shop.example``, ``203.0.113.9`` not in ``203.0.113.90``.

Every character may be encoded: ``%40`` and ``%2540`` in addresses of pages, ``\\u0040`` in JSON,
``\\x40`` in source, ``&#64;`` and ``&commat;`` in HTML, ``=40`` in mails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import NamedTuple

from app.erasing.identifier import normal_address

ERASED = "[erased]"

# A word may begin here although a letter or a digit stands before it: that ends an escape.
_AFTER_ESCAPE = (
    r"(?<=%[0-9a-f]{2})|(?<=\\[abfnrtv0])|(?<=\\u[0-9a-f]{4})|(?<=\\x[0-9a-f]{2})|(?<=\\[0-7]{3})"
)
# A name after an address is a part of its domain, unless files end so.
_FILE = "txt|json|jsonl|ndjson|log|csv|tsv|html?|xml|ya?ml|pdf|zip|gz|png|jpe?g|gif|webp|eml|vcf|db"
_EMAIL_END = rf"(?![^\W_])(?!\.(?!(?:{_FILE})(?![^\W_]))[^\W_])"
_EMAIL_START = rf"(?:(?<![^\W_])(?<![^\W_][.+_\-])|{_AFTER_ESCAPE})"
# All of it is bounded: a text of nothing else must not cost more than its length.
_SLASHES, _TWICE, _ZEROS = r"\\{1,8}", "(?:25){0,4}", "0{0,6}"
_NAMED = {"@": "commat", ".": "period", "+": "plus", "_": "lowbar", "|": "vert", ":": "colon"}
# Letters and digits are hardly ever encoded. A text with such an encoding is searched with care.
_ODDLY_ENCODED = (
    r"%(?:25){0,4}(?:3[0-9]|[46][1-9a-f]|[57][0-9a])|\\{1,8}(?:u00|x)(?:3[0-9]|[46][1-9a-f]|[57][0-9a])"
    r"|&#(?:0{0,6}(?:4[89]|5[0-7]|6[5-9]|[78][0-9]|9[0-9]|1[0-2][0-9])"
    r"|x0{0,6}(?:3[0-9]|[46][1-9a-f]|[57][0-9a]));"
)
_ODD_TEXT = re.compile(_ODDLY_ENCODED, re.IGNORECASE)
_ODD_BYTES = re.compile(_ODDLY_ENCODED.encode(), re.IGNORECASE)


class Pattern(NamedTuple):
    """A pattern of an identifier.

    :param replace: returns a text without what the pattern finds.
    :param part: a text in lower case that stands in every text with the identifier, unless its
        letters are encoded; empty if there is none.
    """

    replace: Callable[[str], str]
    part: str


def is_oddly_encoded(text: str) -> bool:
    """Return whether a text has letters or digits in encoded form."""
    return _ODD_TEXT.search(text) is not None


def is_oddly_encoded_bytes(text: bytes) -> bool:
    """Return whether a text in UTF-8 has letters or digits in encoded form."""
    return _ODD_BYTES.search(text) is not None


def of_email(address: str) -> list[Pattern]:
    """Return the patterns of an e-mail address, in any case."""
    pattern = re.compile(f"{_EMAIL_START}{_encoded(address)}{_EMAIL_END}", re.IGNORECASE)
    # Many people have the same domain.
    own = _part_of(address.partition("@")[0])
    return [Pattern(_replacing(pattern), own if len(own) > 2 else _part_of(address))]


def of_word(text: str) -> list[Pattern]:
    """Return the patterns of an id that is erased wherever it is found, in any case."""
    word = rf"(?:(?<![^\W_])|{_AFTER_ESCAPE}){_encoded(text)}(?![^\W_])"
    return [Pattern(_replacing(re.compile(word, re.IGNORECASE)), _part_of(text))]


def of_slug(slug: str, text: str) -> list[Pattern]:
    """Return the patterns of the slug that a monitor has if its name is an identifier.

    :param text: the identifier.
    """
    part = of_email(text)[0].part if "@" in text else _part_of(text)
    return [of_word(slug)[0]._replace(part=part if part in slug else _part_of(slug))]


def of_named_id(text: str) -> list[Pattern]:
    """Return the patterns of an id that is erased where a text names it as the id of a user.

    ``user_id=42``, ``"userId": "42"``, ``user: {'id': 42``, ``/users/42``.
    """
    quote = r"""(?:\\{0,8}["']|&quot;|&\#0{0,6}3[49];|%22|%27)?"""
    equal = r"\s{0,8}(?:=>|[=:]|%(?:25){0,4}3d|%(?:25){0,4}3a)\s{0,8}(?:u(?=['\"]))?"
    named = rf"(?:user[ ._\-]?id|end_?user[._]?id|uid){quote}{equal}"
    nested = rf"user{quote}{equal}\{{\s{{0,8}}{quote}id{quote}{equal}"
    path = r"/users?/"
    before = rf"(?:(?<![^\W_])|(?<=_)|{_AFTER_ESCAPE})"
    pattern = re.compile(
        rf"({before}(?:{named}|{nested}){quote}|{path}){_encoded(text)}(?![^\W_]|-\w|\.\d)",
        re.IGNORECASE,
    )
    # The case of the id counts, that of the words before it does not.
    plain = text.casefold()

    def erased(found: re.Match[str]) -> str:
        given = found[0][len(found[1]) :]
        is_another = given != text and given.casefold() == plain
        return found[0] if is_another else f"{found[1]}{ERASED}"

    return [Pattern(lambda given: pattern.sub(erased, given), _part_of(text))]


def of_address(address: str) -> list[Pattern]:
    """Return the patterns of an IP address, in every form in which addresses are written."""
    if ":" in address:
        return [_ipv6(address, part) for part in _parts_of_ipv6(address)]
    number = int(ip_address(address))
    return [*_ipv4(address), _ipv6(address, f"{number >> 16:x}")]


def _ipv4(address: str) -> Iterable[Pattern]:
    octets = address.split(".")
    for separator, other in ((_encoded("."), r"\."), ("-", "-")):
        numbers = separator.join(f"0{{0,2}}{octet}" for octet in octets)
        word = rf"(?:(?<!\d)(?<!\d{other})|{_AFTER_ESCAPE}){numbers}(?!\d)(?!{other}\d)"
        yield Pattern(_replacing(re.compile(word, re.IGNORECASE)), max(octets, key=len))
    reverse = r"\.".join(reversed(octets)) + r"(?=\.in-addr\.arpa)"
    pattern = re.compile(rf"(?<!\d)(?<!\d\.){reverse}", re.IGNORECASE)
    yield Pattern(_replacing(pattern), "in-addr")


_COLON = r"(?::|%(?:25){0,4}3a|&\#0{0,6}58;|&\#x0{0,6}3a;|&colon;|\\{1,8}u003a|\\{1,8}x3a)"
_IPV6 = re.compile(
    rf"(?:(?<![0-9a-z])|{_AFTER_ESCAPE})[0-9a-f]{{0,4}}(?:{_COLON}[0-9a-f]{{0,4}}){{2,12}}"
    r"(?:\.\d{1,3}){0,3}(?![0-9a-z])",
    re.IGNORECASE,
)
_COLONS = re.compile(_COLON, re.IGNORECASE)


def _ipv6(address: str, part: str) -> Pattern:
    def erased(found: re.Match[str]) -> str:
        has_part = part in found[0].lower()  # Otherwise a text of colons would take long.
        return _without_ipv6(found[0], address) if has_part else found[0]

    return Pattern(lambda text: _IPV6.sub(erased, text), part)


def _without_ipv6(text: str, address: str) -> str:
    """Return a run of hexadecimal numbers and colons without an address in it."""
    groups = _COLONS.sub(":", text).split(":")
    for length in range(len(groups), 2, -1):
        for first in range(len(groups) - length + 1):
            if normal_address(":".join(groups[first : first + length])) == address:
                before, after = groups[:first], groups[first + length :]
                return ":".join([*before, ERASED, *after])
    return text


def _parts_of_ipv6(address: str) -> list[str]:
    groups = [group for group in address.split(":") if group]
    return [max(groups, key=len)] if groups else [""]


def _replacing(pattern: re.Pattern[str]) -> Callable[[str], str]:
    return lambda text: pattern.sub(ERASED, text)


def _encoded(text: str) -> str:
    """Return the source of a pattern for a text whose characters may be encoded."""
    return "".join(map(_encoded_character, text))


def _encoded_character(character: str) -> str:
    number = ord(character)
    bytes_of = "".join(f"%{_TWICE}{byte:02x}" for byte in character.encode("utf-8", "replace"))
    ways = [re.escape(character), bytes_of, rf"&\#{_ZEROS}{number};"]
    ways.append(rf"&\#x{_ZEROS}{number:x};")
    ways.append(f"{_SLASHES}u{number:04x}" if number < 0x10000 else f"{_SLASHES}U{number:08x}")
    if number < 0x100:
        ways.append(f"{_SLASHES}x{number:02x}")
    if character in _NAMED:
        ways.append(f"&{_NAMED[character]};")
    if not character.isalnum() and number < 0x80:
        ways.append(f"={number:02x}")
    return f"(?:{'|'.join(ways)})"


def _part_of(text: str) -> str:
    """Return the longest run of letters and digits, in lower case, if they are all of ASCII."""
    runs = re.findall(r"[a-z0-9]+", text.lower()) if text.isascii() else []
    return max(runs, key=len, default="")
