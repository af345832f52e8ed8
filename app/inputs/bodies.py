"""Bodies: the input that creates or changes something, from JSON, a form or a command."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, create_model, field_validator
from pydantic_core import PydanticCustomError


class Body(BaseModel):
    """A JSON body. Types are not converted, and unknown fields are an error.

    :cvar is_optional: whether a request without a body means an empty object.
    """

    model_config = ConfigDict(defer_build=True, strict=True, extra="forbid")
    is_optional: ClassVar = False
    max_bytes: ClassVar = 64 * 1024


class PatchBody(Body):
    """The body of a PATCH: a field that is not given stays as it is, and null clears it.

    Declare a field that may be cleared as ``X | None = None``. Declare a field that may not be
    cleared as ``X = unchanged()``; null is then a wrong value.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _null_clears(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        if value is None and type(None) not in get_args(annotation):
            raise PydanticCustomError("not_clearable", "this field cannot be cleared")
        return value

    def changes(self) -> dict[str, Any]:
        """Return the given fields with their new values."""
        return self.model_dump(exclude_unset=True)


def unchanged() -> Any:
    """Declare a field of a :class:`PatchBody` that may be left out, but not cleared."""
    # A factory keeps the default out of the OpenAPI document.
    return Field(default_factory=lambda: None)


def patch_of(model: type[BaseModel], clearable: Iterable[str] = ()) -> Any:
    """Return a base class for the body of a PATCH: the fields of a model, all of them optional.

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
