"""Reading what callers send, strictly: a wrong field is named, never guessed at, never echoed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar, get_args, get_type_hints

from flask import abort, request
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)
from pydantic_core import PydanticCustomError

from app.web import access
from app.web.errors import FieldErrors

Model = TypeVar("Model", bound=BaseModel)

MAX_BODY_BYTES = 64 * 1024


class Body(BaseModel):
    """A JSON body: JSON's types as they are, nothing beyond the fields that are named."""

    model_config = ConfigDict(strict=True, extra="forbid")


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


def patch_of(
    model: type[BaseModel], name: str, summary: str, clearable: Iterable[str] = ()
) -> type[PatchBody]:
    """Return the body of a PATCH of what a model describes: its fields, none of them required.

    :param name: of the body in the OpenAPI document, and ``summary`` what is said of it there.
    :param clearable: fields that may be null.
    """
    fields: dict[str, Any] = {}
    for field, hint in get_type_hints(model, include_extras=True).items():
        parts = get_args(hint)
        if field in clearable:
            fields[field] = hint, None
        elif field in model.model_fields:
            fields[field] = parts[0] if type(None) in parts else hint, unchanged()
    return create_model(name, __base__=PatchBody, __doc__=summary, **fields)


class EmptyBody(Body):
    """Nothing is said beyond the address."""


class Query(BaseModel):
    """A query string: text that reads as the field's type."""

    model_config = ConfigDict(extra="forbid")


def read_body(
    model: type[Model], *, optional: bool = False, max_bytes: int = MAX_BODY_BYTES
) -> Model:
    """Return the request's JSON body.

    :param optional: no body at all stands for an empty object.
    :raise 400: it is no JSON object. :raise 413: it is longer than ``max_bytes``, 64 KiB.
    :raise 415: it is not called JSON. :raise FieldErrors: a field is wrong (422).
    """
    # Read here, since Werkzeug cuts a chunked body that is too long without a word.
    raw = request.stream.read(max_bytes + 1)
    if optional and not raw:
        return _validated(model, {})
    if not request.is_json and not access.needs_no_content_type():
        abort(415, description="Content-Type: application/json is expected")
    if len(raw) > max_bytes:
        abort(413, description=f"at most {max_bytes} bytes are expected")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        abort(400, description="the body is no JSON")
    if not isinstance(body, dict):
        abort(400, description="a JSON object is expected")
    return _validated(model, body)


def read_query(model: type[Model]) -> Model:
    """Return the query string.

    :raise FieldErrors: a parameter is wrong or unknown (422).
    """
    return _validated(model, request.args.to_dict())


def _validated(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        raise FieldErrors(
            [
                {"field": ".".join(map(str, detail["loc"])) or "body", "message": detail["msg"]}
                for detail in details
            ]
        ) from None
