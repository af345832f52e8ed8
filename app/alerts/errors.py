"""Input that cannot be kept, and how input is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from app.protocol.event import clean_text


class AlertError(ValueError):
    """A channel or a rule cannot be kept.

    :param errors: messages by field; they repeat nothing of what was given.
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = errors


def validated(model: type[BaseModel], given: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return the fields that are given, checked by a model.

    :param context: what the model's validators check against besides their own field.
    :raise AlertError: some of them are wrong.
    """
    try:
        return model.model_validate(given, context=context).model_dump(exclude_unset=True)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
    raise AlertError({".".join(map(str, d["loc"])): _message(d) for d in details})


def _message(detail: Any) -> str:
    is_ours = detail["type"] == "value_error"
    return str(detail["ctx"]["error"] if is_ours else detail["msg"])


def printable(value: str) -> str:
    """Return a name without characters that no store takes; a validator of models.

    :raise PydanticCustomError: it is more than one line, or some of it cannot be printed.
    """
    value = clean_text(value)
    if not value.isprintable():
        raise PydanticCustomError("not_printable", "one line of printable characters is expected")
    return value
