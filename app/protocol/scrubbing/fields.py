"""Finds OAuth codes and signatures in the fields of a query string or a form.

`code` is the name of many values: an error, a country, a discount. It is a secret if it has OAuth
fields beside it and its value looks random.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from app.protocol.scrubbing.links import is_code

# A form with one of these fields is an OAuth form.
_BESIDE = frozenset(
    "state redirect_uri client_id grant_type code_verifier session_state authuser nonce".split()
)
_NAMES = frozenset({"code", "state"})
_SIGNATURES = frozenset({"signature", "hmac"})
# A random value: one run with letters of both cases and digits, or with digits and lower-case
# letters, as in hexadecimal.
_DRAWN = re.compile(
    r"(?=[^A-Z]{0,256}+[A-Z])(?=[^a-z]{0,256}+[a-z])(?=[^0-9]{0,256}+[0-9])[\w~-]{10,}+"
    r"|(?=[^0-9]{0,256}+[0-9][^0-9]{0,256}+[0-9][^0-9]{0,256}+[0-9])(?=[^a-z]{0,256}+[a-z])"
    r"[a-z0-9]{16,}+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.A,
)
_BETWEEN = re.compile(r"[/.+=% ]")
_SIGNATURE = 20
# OAuth forms have fewer fields, and each field would be searched for among all others.
_MAX_FIELDS = 64


def codes_among(fields: Iterable[tuple[Any, Any]], *, is_query: bool) -> Iterator[Any]:
    """Yield the names of the fields whose values are codes.

    :param is_query: whether the fields are the parameters of a link, whose names have one meaning.
    """
    texts = {name: text for name, value in fields if (text := _text_of(value)) is not None}
    if len(texts) > _MAX_FIELDS and not is_query:
        return
    is_oauth = "code" in texts and not _BESIDE.isdisjoint(texts)
    for name, text in texts.items():
        if is_query and isinstance(name, str) and is_code(name, text):
            yield name
        elif is_oauth and name in _NAMES and _is_drawn(text):
            yield name
        elif name in _SIGNATURES and len(text) >= _SIGNATURE and _is_drawn(text):
            yield name


def _text_of(value: Any) -> str | None:
    """Return the text of a field; the value in a form may be a list with a single text."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else None


def _is_drawn(text: str) -> bool:
    return any(_DRAWN.fullmatch(part) for part in _BETWEEN.split(text))
