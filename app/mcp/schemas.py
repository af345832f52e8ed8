"""The JSON schema of a tool's arguments, from their model; short, because models read it often."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel

# What pydantic writes and nobody needs.
_LEFT_OUT = ("title", "discriminator")


@cache
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a model, without titles, and without null where a field may lack."""
    schema: dict[str, Any] = _short(model.model_json_schema())
    schema.pop("description", None)  # The tool describes itself.
    schema.setdefault("properties", {})
    return schema


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(one) for one in value]
    if not isinstance(value, dict):
        return value
    may_lack = "default" in value and value["default"] is None
    kept = {
        name: {field: _short(of) for field, of in one.items()}
        if name in ("properties", "$defs")
        else _short(one)
        for name, one in value.items()
        if name not in _LEFT_OUT and not (name == "default" and one is None)
    }
    return _without_null(kept) if may_lack else kept


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = schema.get("anyOf", ())
    others = [kind for kind in kinds if kind != {"type": "null"}]
    if len(others) != 1 or len(kinds) != 2:
        return schema
    return {**others[0], **{name: of for name, of in schema.items() if name != "anyOf"}}
