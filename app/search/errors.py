"""The error of a query."""

from __future__ import annotations

from app.inputs import InputError


class QueryError(InputError):
    """A query is wrong; the text of the error says where.

    :param message: without the place, in lower case.
    :param at: the index of the first wrong character, from 0.
    :param end: the index after the last wrong character.
    """

    def __init__(self, message: str, at: int, end: int | None = None) -> None:
        # People count from 1.
        super().__init__(f"{message} at {at + 1}", "query")
        self.message = message
        self.at = at
        self.end = at + 1 if end is None else max(end, at + 1)
