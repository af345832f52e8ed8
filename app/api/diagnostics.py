"""Diagnostics: errors on request, to see that monitoring works."""

from __future__ import annotations

from typing import Annotated, Literal, NoReturn

from pydantic import Field, model_validator
from werkzeug.exceptions import HTTPException, default_exceptions

from app import sentry
from app.api.requests import Body
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.error_tracker import ErrorTracker
from app.web import access
from app.web.errors import links_of

route = Routes("diagnostics")


class Recorded(ApiModel):
    """An event that was asked for, and where it is to be seen."""

    event_id: str | None
    links: dict[str, str]


class TestError(Exception):
    """An error that somebody asked for."""

    __test__ = False  # pytest collects classes named Test*


class TestErrorBody(Body):
    """Which error to make."""

    __test__ = False

    error_type: Literal["message", "exception", "http"]
    message: Annotated[str, Field(max_length=8192)]
    user_id: Annotated[str, Field(max_length=200)] | None = None
    status_code: Annotated[int, Field(ge=400, le=599)] | None = None

    @model_validator(mode="after")
    def _status_only_with_http(self) -> TestErrorBody:
        if self.status_code is not None and self.error_type != "http":
            raise ValueError("status_code is only for error_type http")
        return self


@route("POST /test-error", access.diagnoses)
def test_error(body: TestErrorBody) -> Recorded:
    """Make an error of a chosen kind.

    Records a message, raises an exception, or fails with an HTTP status.

    :raise 500: for ``exception``, which is handled like any other error that nothing caught.
    """
    if body.user_id is not None:
        sentry.set_user_context(body.user_id)
    sentry.set_tag("test_error", body.error_type)
    if body.error_type == "exception":
        raise TestError(body.message)
    if body.error_type == "http":
        fail_with_status(body.status_code or 500, body.message)
    event_id = sentry.capture_message(body.message)
    return Recorded(event_id=event_id, links=links_of(event_id or ""))


def fail_with_status(status: int, message: str) -> NoReturn:
    """Raise the HTTP error of a status, recorded even if it is the caller's (4xx)."""
    error = default_exceptions.get(status, HTTPException)(message)
    error.code = status
    try:
        raise error
    except HTTPException as raised:
        ErrorTracker().log_error(raised)
        raise


@route("GET /sentry-debug", access.diagnoses)
def sentry_debug() -> str:
    """Divide by zero.

    :raise 500: always.
    """
    divisor = 0
    return str(1 / divisor)
