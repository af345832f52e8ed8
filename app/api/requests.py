"""Reading what callers send, strictly: a wrong field is named, never guessed at, never echoed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_type_hints

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

from app.store.paging import Page
from app.web import access
from app.web.errors import FieldErrors

Model = TypeVar("Model", bound=BaseModel)
Row = TypeVar("Row", bound=Any)
JsonBody = TypeVar("JsonBody", bound="Body")

Limit = Annotated[int, Field(ge=1, le=1000, description="How many, at most 1000.")]
# Beyond 64 bits no database has a row.
RowNumber = Annotated[int, Field(ge=1, lt=2**63)]
Cursor = Annotated[RowNumber, Field(description="`next` of the page before.")]
ProjectId = Annotated[int, Field(ge=1, lt=2**31)]


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


class EmptyBody(Body):
    """Nothing is said beyond the address."""

    is_optional = True


class Query(BaseModel):
    """A query string: text that reads as the field's type."""

    model_config = ConfigDict(extra="forbid")


class Paged(Query):
    """Which page of a list that is sorted by the number of its rows."""

    limit: Limit = 50
    cursor: Cursor | None = None


def read_body(model: type[JsonBody]) -> JsonBody:
    """Return the request's JSON body.

    :raise 400: it is no JSON object. :raise 413: it is longer than the model's ``max_bytes``.
    :raise 415: it is not called JSON. :raise FieldErrors: a field is wrong (422).
    """
    # Read here, since Werkzeug cuts a chunked body that is too long without a word.
    raw = request.stream.read(model.max_bytes + 1)
    if model.is_optional and not raw:
        return _validated(model, {})
    if not request.is_json and not access.needs_no_content_type():
        abort(415, description="Content-Type: application/json is expected")
    if len(raw) > model.max_bytes:
        abort(413, description=f"at most {model.max_bytes} bytes are expected")
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


def number_after(page: Page) -> str | None:
    """Return the cursor of the next page, for lists that are sorted by the row's number."""
    return str(page.next[-1]) if page.next else None


def first_page(rows: Sequence[Row], limit: int, number: str = "id") -> tuple[list[Row], str | None]:
    """Return a page and the cursor of the next one.

    :param rows: one more than ``limit``, if there are as many.
    :param number: the column that they are sorted by.
    """
    page = list(rows[:limit])
    return page, str(getattr(page[-1], number)) if len(rows) > limit else None


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
