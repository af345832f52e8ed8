"""Errors of the application's parts that a view need not catch."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from app.api import bp
from app.web.errors import FieldErrors, answer_field_errors, problem


def answer_with(status: int, error: type[Exception]) -> None:
    """Have an error that a view raises answered with a status and its message.

    :param status: 422 names the error's ``field``, ``body`` if it has none.
    """

    def respond(raised: Exception) -> ResponseReturnValue:
        if status != 422:
            return problem(status, str(raised))
        field = getattr(raised, "field", None) or "body"
        return answer_field_errors(FieldErrors([{"field": field, "message": str(raised)}]))

    bp.register_error_handler(error, respond)
