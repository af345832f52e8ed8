"""Errors of a request. The API answers each error with its HTTP status.

InputError      a field is wrong, 422
├── Missing     the object does not exist, 404
└── Conflict    the state of an object does not allow the request, 409
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class InputError(ValueError):
    """The request cannot be carried out; the message says why.

    :param field: the name of the wrong field, if the error is about a single field.
    """

    status: ClassVar[int] = 422

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field

    @property
    def errors(self) -> Mapping[str, str]:
        """The messages by field; ``body`` stands for the request as a whole."""
        return {self.field or "body": str(self)}


class Missing(InputError):
    """The object of the request does not exist."""

    status = 404


class Conflict(InputError):
    """The state of an object does not allow the request."""

    status = 409
