"""A value of a term compared with a column, in any case for patterns with a wildcard."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from app.protocol.event import clean_text
from app.search.grammar import Value

_ESCAPE = "~"


def matches(column: Any, value: Value) -> ColumnElement[bool]:
    """Return the condition that a column without NULL has a value."""
    text = clean_text(value.text)
    if not value.has_wildcard:
        return column == text  # type: ignore[no-any-return]
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, _ESCAPE + special)
    return column.ilike(text.replace("*", "%"), escape=_ESCAPE)  # type: ignore[no-any-return]
