"""What is asked and cannot be done; the API answers each with its status.

InputError      a field is wrong, 422
├── Missing     what it is about is not there, 404
└── Conflict    the state of something does not allow it, 409
"""

from __future__ import annotations

from typing import ClassVar


class InputError(ValueError):
    """What was asked cannot be done; the message says why.

    :param field: what is wrong, where it is one field.
    """

    status: ClassVar[int] = 422

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Missing(InputError):
    """What it is about is not there."""

    status = 404


class Conflict(InputError):
    """The state of something does not allow it."""

    status = 409
