"""Strict reading of requests: an error names the wrong field and never repeats its value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from flask import abort, request
from pydantic import BaseModel, ValidationError

from app.inputs import Body
from app.inputs.queries import Cursor, Limit, Paged, Query
from app.store.paging import Page
from app.web import token_projects
from app.web.errors import FieldErrors
from app.web.json_body import read_bytes, read_json

__all__ = [
    "Cursor",
    "EmptyBody",
    "Limit",
    "Paged",
    "Query",
    "first_page",
    "number_after",
    "read_body",
    "read_query",
]

Model = TypeVar("Model", bound=BaseModel)
Row = TypeVar("Row", bound=Any)
JsonBody = TypeVar("JsonBody", bound="Body")


class EmptyBody(Body):
    """An empty body."""

    is_optional = True


def read_body(model: type[JsonBody]) -> JsonBody:
    """Return the request's JSON body.

    :raise 400: it is no JSON object. :raise 413: it is longer than the model's ``max_bytes``.
    :raise 415: its Content-Type is not JSON. :raise FieldErrors: a field is wrong (422).
    """
    raw = read_bytes(model.max_bytes)
    if model.is_optional and not raw:
        return _checked(model, {})
    body = read_json(raw, model.max_bytes)
    if not isinstance(body, dict):
        abort(400, description="a JSON object is expected")
    return _checked(model, body)


def read_query(model: type[Model]) -> Model:
    """Return the query string as a model.

    :raise FieldErrors: a parameter is wrong or unknown (422).
    """
    return validated(model, request.args.to_dict())


def number_after(page: Page) -> str | None:
    """Return the cursor of the next page of a list that is sorted by row number."""
    return str(page.next[-1]) if page.next else None


def first_page(rows: Sequence[Row], limit: int, number: str = "id") -> tuple[list[Row], str | None]:
    """Return a page and the cursor of the next page.

    :param rows: up to ``limit`` + 1 rows; the last one shows that there is a next page.
    :param number: the column that the rows are sorted by.
    """
    page = list(rows[:limit])
    return page, str(getattr(page[-1], number)) if len(rows) > limit else None


def _checked(model: type[JsonBody], values: dict[str, Any]) -> JsonBody:
    body = validated(model, values)
    token_projects.check_body(body)
    return body


def validated(model: type[Model], values: Any) -> Model:
    """Return values as a model.

    :raise FieldErrors: a field is wrong (422).
    """
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
