"""The page of the API: the OpenAPI document by subject, folded, and searched on the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from flask import render_template, request
from flask.typing import ResponseReturnValue

from app.api import bp
from app.api.openapi import kept_document
from app.web import access

MAX_LENGTH = 200
# A search that finds no more than this many operations shows them open.
OPEN = 5
LABELS = {"ingest": "Ingest (for SDKs)", "diagnostics": "Test errors", "mcp": "MCP"}


class Entry(NamedTuple):
    """An operation of the document, with its method and path."""

    method: str
    path: str
    operation: dict[str, Any]

    @property
    def tag(self) -> str:
        """The subject of the operation."""
        tags: list[str] = self.operation["tags"]
        return tags[0]

    @property
    def text(self) -> str:
        """What a search looks at, in lower case."""
        about = self.operation
        names = (parameter["name"] for parameter in about.get("parameters", ()))
        prose = about["summary"], about.get("description", ""), self.tag
        return " ".join((self.method, self.path, *prose, *names)).lower()


class Group(NamedTuple):
    """The operations of one subject."""

    tag: str
    label: str
    entries: list[Entry]


@bp.get("/docs")
@access.shows
def reference() -> ResponseReturnValue:
    """Show the OpenAPI document as a page; with ``q`` only what has all of its words."""
    document = kept_document()
    text = request.args.get("q", "").strip()[:MAX_LENGTH]
    words = text.lower().split()
    entries = [entry for entry in _entries(document) if _has_all(words, entry.text)]
    return render_template(
        "docs.html",
        document=document,
        groups=_groups(entries),
        schemas=_schemas(document, words),
        q=text,
        count=len(entries),
        is_open=bool(words) and len(entries) <= OPEN,
    )


def _entries(document: dict[str, Any]) -> Iterator[Entry]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield Entry(method, path, operation)


def _groups(entries: list[Entry]) -> list[Group]:
    tags = sorted({entry.tag for entry in entries})
    return [
        Group(
            tag,
            LABELS.get(tag, tag.capitalize()),
            [entry for entry in entries if entry.tag == tag],
        )
        for tag in tags
    ]


def _schemas(document: dict[str, Any], words: list[str]) -> dict[str, Any]:
    schemas: dict[str, Any] = document["components"]["schemas"]
    return {
        name: schema
        for name, schema in schemas.items()
        if _has_all(words, " ".join((name, *schema.get("properties", ()))).lower())
    }


def _has_all(words: list[str], text: str) -> bool:
    return all(word in text for word in words)
