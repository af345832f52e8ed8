"""Completions of a word of a query about lines: keys, attributes, and their newest values."""

from __future__ import annotations

from sqlalchemy import Connection

from app.protocol.lenient import LEVELS
from app.search.completion import Completion, completions_of, fitting, terms_of, written
from app.signals.logs.recent import recent_attributes, recent_facts

KEYS = {
    "level": "",
    "release": "latest, too",
    "environment": "",
    "trace": "id of the trace",
    "project": "name or id",
    "message": "words of the message",
    "has": "any value of an attribute",
}


def complete_logs(conn: Connection, word: str, project_id: int | None = None) -> list[Completion]:
    """Return completions of a word, the most likely first.

    :param project_id: only attributes of this project.
    """
    attributes = recent_attributes(conn, project_id)

    def keys(part: str) -> list[Completion]:
        names = {written(name): "attribute" for name in attributes} | KEYS
        found = fitting(part, [*KEYS, *names])
        return [Completion(f"{name}:", names[name]) for name in found]

    def values(key: str) -> list[str]:
        if key in ("environment", "release"):
            return recent_facts(conn)[key]
        named = key.removeprefix("tags[").removesuffix("]")
        return list(map(written, attributes)) if key == "has" else attributes.get(named, [])

    def terms(key: str, part: str) -> list[Completion]:
        fixed = {"level": LEVELS, "release": ("latest",)}.get(key, ())
        return terms_of(key, part, fixed, lambda: values(key))

    return completions_of(word, keys, terms)
