"""Diagnostics: test errors that show whether monitoring works."""

from __future__ import annotations

from typing import Annotated, Literal, NoReturn

from flask import request
from pydantic import Field, model_validator
from werkzeug.exceptions import HTTPException, default_exceptions

from app import sentry
from app.api.events import Hop
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.error_tracker import ErrorTracker
from app.inputs import Body, Conflict, InputError, ProjectId
from app.projects import OWN_PROJECT_ID, NoSuchProject, Project, find_project
from app.protocol.test_error import TAG, TAG_VALUE, fingerprint_of_test
from app.trials.answer import NOT_STORED, answer_of
from app.trials.kinds import Wish
from app.trials.sending import DROPPED, RECORDED, send_test_error, why_refused
from app.trials.waiting import MAX_WAIT_S, look, wait_for_answer
from app.web import access
from app.web.current import current_store
from app.web.errors import links_of
from app.web.observer import FAILS_ON_PURPOSE

route = Routes("diagnostics")


class Recorded(ApiModel):
    """The event of a test error, and the links to it.

    `trail`, `sentence` and `waited` are there if `project_id` or `wait` was given. `waited` is
    false if it was not asked for, or if too many requests waited already.
    """

    event_id: str | None
    links: dict[str, str]
    trail: list[Hop] | None = None
    sentence: Annotated[
        str | None, Field(description="Where it is: recorded, accepted or stopped, and why.")
    ] = None
    waited: bool | None = None


class NotRecorded(Conflict):
    """The project's ingest route refused the test error."""


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
    project_id: Annotated[
        ProjectId | None,
        Field(description="The project whose program has the error; it goes in with its key."),
    ] = None
    wait: Annotated[
        Literal["accepted"] | None,
        Field(description=f"Answer when Sentry has answered, after {MAX_WAIT_S:.0f} s at most."),
    ] = None

    @model_validator(mode="after")
    def _status_only_with_http(self) -> TestErrorBody:
        if self.status_code is not None and self.error_type != "http":
            raise ValueError("status_code is only for error_type http")
        return self


@route("POST /test-error", access.diagnoses)
def test_error(body: TestErrorBody) -> Recorded:
    """Make a test error.

    It records a message, raises an exception, or fails with an HTTP status. With `project_id` or
    `wait` the error is recorded and not raised, so the answer is 200 with its `trail`. Two requests
    of a process wait at once; a further one is answered without waiting (`waited` is false).

    :raise 409: the project has no key, is beyond its quota, or the store refused the error.
    :raise 500: for ``exception``, which is handled like any other uncaught error.
    """
    if body.project_id is not None or body.wait is not None:
        return _followed(body)
    # A test error must not set off rules about the error rate.
    request.environ[FAILS_ON_PURPOSE] = True
    if body.user_id is not None:
        sentry.set_user_context(body.user_id)
    sentry.set_tag("test_error", body.error_type)
    sentry.set_tag(TAG, TAG_VALUE)
    sentry.set_fingerprint(fingerprint_of_test())
    if body.error_type == "exception":
        raise TestError(body.message)
    if body.error_type == "http":
        fail_with_status(body.status_code or 500, body.message)
    event_id = sentry.capture_message(body.message)
    return Recorded(event_id=event_id, links=links_of(event_id or ""))


def _followed(body: TestErrorBody) -> Recorded:
    wish = Wish(
        kind=body.error_type,
        message=body.message,
        level="info" if body.error_type == "message" else "error",
        status=body.status_code or 500,
        user={"id": body.user_id} if body.user_id is not None else {},
        is_repeat=True,
    )
    sent = send_test_error(wish, _project(body.project_id or OWN_PROJECT_ID))
    if sent.status == DROPPED:
        return Recorded(event_id=None, links=links_of(""), trail=[], sentence=sent.refused)
    if sent.status != RECORDED:
        raise NotRecorded(f"not recorded: {why_refused(sent.status)}")
    id = sent.event_id
    progress, waited = wait_for_answer(id) if body.wait else (look(id), False)
    return Recorded.of(
        {},
        event_id=id,
        links=links_of(id),
        trail=progress.hops if progress else [],
        sentence=answer_of(progress).words if progress else NOT_STORED,
        waited=waited,
    )


def _project(project_id: int) -> Project:
    try:
        with current_store().read() as conn:
            return find_project(conn, project_id)
    except NoSuchProject as error:
        raise InputError(str(error), "project_id") from None


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
