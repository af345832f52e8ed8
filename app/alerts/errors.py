"""What cannot be kept as it is asked for."""

from __future__ import annotations


class AlertError(ValueError):
    """A channel or a rule cannot be kept so.

    :param field: which of its fields is wrong; the message repeats nothing of what was given.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
