"""Bodies: what somebody asks to be kept or changed, as JSON, a form or a command says it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, create_model, field_validator
from pydantic_core import PydanticCustomError


class Body(BaseModel):
    """A JSON body: JSON's types as they are, nothing beyond the fields that are named.

    :cvar is_optional: whether no body at all stands for an empty object.
    """

    model_config = ConfigDict(strict=True, extra="forbid")
    is_optional: ClassVar = False
    max_bytes: ClassVar = 64 * 1024


class PatchBody(Body):
    """What a PATCH changes: a field that is not named stays as it is, and null clears it.

    A field that may be cleared is declared as ``X | None = None``; one that may not as
    ``X = unchanged()``, and null is a wrong value of it.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _null_clears(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        if value is None and type(None) not in get_args(annotation):
            raise PydanticCustomError("not_clearable", "this field cannot be cleared")
        return value

    def changes(self) -> dict[str, Any]:
        """Return the fields that are named, with their new values."""
        return self.model_dump(exclude_unset=True)


def unchanged() -> Any:
    """Declare a field of a :class:`PatchBody` that may be left out, but not be cleared."""
    # A factory, so that no default stands in the OpenAPI document.
    return Field(default_factory=lambda: None)


def patch_of(model: type[BaseModel], clearable: Iterable[str] = ()) -> Any:
    """Return the base of the body of a PATCH: the fields of a model, none of them required.

    :param clearable: fields that may be null.
    """
    fields: dict[str, Any] = {}
    for field, hint in get_type_hints(model, include_extras=True).items():
        parts = get_args(hint)
        if field in clearable:
            fields[field] = hint, None
        elif field in model.model_fields:
            fields[field] = parts[0] if type(None) in parts else hint, unchanged()
    return create_model(f"{model.__name__}Patch", __base__=PatchBody, **fields)
