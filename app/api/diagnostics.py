"""Diagnostics: test errors that show whether monitoring works."""

from __future__ import annotations

from typing import Annotated, Literal, NoReturn

from pydantic import Field, model_validator
from werkzeug.exceptions import HTTPException, default_exceptions

from app import sentry
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.error_tracker import ErrorTracker
from app.inputs import Body
from app.web import access
from app.web.errors import links_of

route = Routes("diagnostics")


class Recorded(ApiModel):
    """The event of a test error, and the links to it."""

    event_id: str | None
    links: dict[str, str]


class TestError(Exception):
    """A test error of the API."""

    __test__ = False  # pytest collects classes named Test*


class TestErrorBody(Body):
    """The test error to make."""

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
    """Make a test error.

    It records a message, raises an exception, or fails with an HTTP status.

    :raise 500: for ``exception``, which is handled like any other uncaught error.
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
    """Record and raise the HTTP error of a status, also if the caller caused it (4xx)."""
    error = default_exceptions.get(status, HTTPException)(message)
    error.code = status
    try:
        raise error
    except HTTPException as raised:
        ErrorTracker().log_error(raised)
        raise


@route("GET /sentry-debug", access.diagnoses)
def sentry_debug() -> str:
    """Divide by zero, to record an uncaught error.

    :raise 500: always.
    """
    divisor = 0
    return str(1 / divisor)
