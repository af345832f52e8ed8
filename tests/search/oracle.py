"""What a query should find, by reading the payload of each event: no tokens, no index.

It is written from docs/subsystems/search.md, in other words than the code.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import chain
from typing import Any

from app.search.grammar import Term, Value
from app.search.keys import KEYS

Payload = dict[str, Any]


def folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(x for x in decomposed if unicodedata.category(x) != "Mn").casefold()


def words(text: str) -> list[str]:
    """Return the words of a text, as a person would separate them."""
    return "".join(x if x.isalnum() else " " for x in folded(text)).split()


def fulfils(payload: Payload, terms: tuple[Term, ...]) -> bool:
    return all(_met(payload, term) is not term.is_negated for term in terms)


def _met(payload: Payload, term: Term) -> bool:
    if term.key == "has":
        return any(_has(payload, value.text) for value in term.values)
    if term.key in ("", "message", "error.value"):
        texts = [words(text) for text in _texts(payload, term.key)]
        return any(_says(texts, value) for value in term.values)
    values = list(_values(payload, term.key))
    return any(_equals(given, value) for value in term.values for given in values)


def _has(payload: Payload, key: str) -> bool:
    if key == "user":
        return any(_has(payload, f"user.{name}") for name in ("id", "email", "username", "ip"))
    if key in ("message", "error.value"):
        own = _errors(payload) if key == "error.value" else [{"value": payload.get("message")}]
        return any(error.get("value") for error in own)
    return next(_values(payload, key), None) is not None


def _equals(given: str, value: Value) -> bool:
    if not value.has_wildcard:
        return folded(given) == folded(value.text)
    return folded(given).startswith(folded(value.text.rstrip("*")))


def _says(texts: list[list[str]], value: Value) -> bool:
    """Return whether each word of a value follows the word before it, in one of the texts."""
    wanted = words(value.text)
    is_open = value.has_wildcard and value.text.rstrip("*")[-1:].isalnum()

    def stands(part: list[str], *, is_last: bool) -> bool:
        parts = (said[at : at + len(part)] for said in texts for at in range(len(said)))
        return any(
            given[:-1] == part[:-1]
            and len(given) == len(part)
            and (given[-1].startswith(part[-1]) if is_last and is_open else given[-1] == part[-1])
            for given in parts
        )

    if len(wanted) == 1:
        return stands(wanted, is_last=True)
    pairs = [wanted[at : at + 2] for at in range(len(wanted) - 1)]
    return all(stands(two, is_last=at + 2 == len(wanted)) for at, two in enumerate(pairs))


def _errors(payload: Payload) -> list[Payload]:
    return payload.get("exception", {}).get("values", [])


def _frames(payload: Payload) -> Iterator[Payload]:
    for error in _errors(payload):
        yield from error.get("stacktrace", {}).get("frames", [])


def _title(payload: Payload) -> str:
    if not _errors(payload):
        return payload.get("message", "")
    last = _errors(payload)[-1]
    return f"{last['type']}: {last['value']}"


def _texts(payload: Payload, key: str) -> Iterator[str]:
    values = [error["value"] for error in _errors(payload)]
    if key == "error.value":
        yield from values
        return
    if "message" in payload:
        yield payload["message"]
    yield _title(payload)
    if _errors(payload):
        yield from _camel(_errors(payload)[-1]["type"])
    if key == "message":
        return
    yield from values
    facts = ("level", "release", "environment", "transaction", "platform")
    users = ("user.id", "user.email", "user.username", "user.ip")
    of_frames = ("stack.function", "stack.module", "stack.filename")
    for name in (*facts, *users, *of_frames, "url", "error.type"):
        yield from _values(payload, name)
    yield from payload.get("tags", {}).values()
    for run in chain(*(_values(payload, name) for name in ("error.type", "stack.function"))):
        yield from _camel(run)


def _camel(name: str) -> Iterator[str]:
    """Yield the parts of ``PaymentError``."""
    part = ""
    for letter in name:
        if letter.isupper():
            yield part
            part = ""
        part += letter
    yield part


def _values(payload: Payload, key: str) -> Iterator[str]:
    if key.startswith("user."):
        name = "ip_address" if key == "user.ip" else key[5:]
        found = [payload.get("user", {}).get(name)]
    elif key == "error.type":
        found = [error["type"] for error in _errors(payload)]
    elif key == "stack.filename":
        names = [frame["filename"] for frame in _frames(payload)]
        found = [*names, *(name.rpartition("/")[2] for name in names)]
    elif key.startswith("stack."):
        found = [frame[key[6:]] for frame in _frames(payload)]
    elif key == "url":
        url = payload.get("request", {}).get("url")
        found = [url, url and "/" + url.partition("://")[2].partition("/")[2]]
    elif key == "level":
        found = [payload.get("level", "error")]
    elif key in KEYS:
        found = [payload.get(key)]
    else:
        found = [payload.get("tags", {}).get(key)]
    yield from (value for value in found if value is not None)
