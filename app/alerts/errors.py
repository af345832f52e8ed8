"""Validation of input, and the error for input that cannot be stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from app.inputs import InputError
from app.protocol.event import clean_text


class AlertError(InputError):
    """A channel or a rule cannot be stored.

    :param errors: messages by field. They do not repeat the given values.
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self._errors = errors

    @property
    def errors(self) -> Mapping[str, str]:
        """The messages by field."""
        return self._errors


def validated(model: type[BaseModel], given: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return the given fields after validation by a model.

    :param context: passed to the model's validators.
    :raise AlertError: a field is not valid.
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
    """Return a name without characters that the store cannot hold. It is a validator for models.

    :raise PydanticCustomError: the name has several lines or characters that cannot be printed.
    """
    value = clean_text(value)
    if not value.isprintable():
        raise PydanticCustomError("not_printable", "one line of printable characters is expected")
    return value
