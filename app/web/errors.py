"""Answers to failing requests: problem details for programs, a page for people.

Below ``/admin`` and ``/docs`` a page for somebody who is logged in has the navigation. Elsewhere a
browser, which asks for HTML, gets a page without it.

There is no handler for ``Exception``, because it would hide errors from the SDK. The SDK sees only
errors that no handler took. Flask wraps those into a 500 that has the ``original_exception``.
"""

from __future__ import annotations

from typing import Any, TypeVar

from flask import Flask, Response, abort, json, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError, default_exceptions
from werkzeug.http import HTTP_STATUS_CODES

from app.inputs import InputError
from app.sentry import ErrorTracker, event_id_of
from app.store import StoreError
from app.web import feedback_form

PROBLEM_TYPE = "application/problem+json"
# The paths of pages for people. All other paths answer programs, unless a browser asks.
PAGES = ("/admin", "/docs", "/feedback/")
WITH_NAVIGATION = ("/admin/", "/docs")
RETRY_AFTER_S = 5

Found = TypeVar("Found")


class FieldErrors(Exception):
    """A body or query has invalid fields. It is answered with 422.

    :param errors: a list of ``{"field", "message"}``.
    """

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__("the request has wrong fields")
        self.errors = errors


def or_404(found: Found | None, description: str) -> Found:
    """Return the object, or abort if it is ``None``.

    :raise 404: it is ``None``.
    """
    return found if found is not None else abort(404, description)


def init_app(app: Flask) -> None:
    """Register the error handlers."""
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(FieldErrors, answer_field_errors)
    app.register_error_handler(InputError, answer_input_error)
    app.register_error_handler(StoreError, answer_store_error)


def problem(status: int, detail: str = "", **more: Any) -> Response:
    """Return an answer with problem details.

    :param more: further members of the object. ``None`` leaves a member out.

    Source: RFC 9457, section 3.
    """
    title = HTTP_STATUS_CODES.get(status, "Error")
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail or title}
    body["instance"] = request.path
    body |= {key: value for key, value in more.items() if value is not None}
    return Response(json.dumps(body), status=status, content_type=PROBLEM_TYPE)


def links_of(event_id: str) -> dict[str, str]:
    """Return the API address and the page of an event."""
    return {"event": f"/api/events/{event_id}", "trail": f"/admin/events/{event_id}"}


def answer_http_error(error: HTTPException) -> ResponseReturnValue:
    """Answer an HTTP error. An error of the server is recorded first."""
    original = getattr(error, "original_exception", None)
    if (error.code or 500) >= 500 and original is None:
        ErrorTracker().log_error(error)  # No other code records abort(5xx).
    event_id = event_id_of(original or error)
    if error.response is not None:
        return error.response
    detail = _detail(error)
    response = _answer(error.code or 500, detail, event_id, isinstance(error, CSRFError))
    # Headers that belong to this error: Allow, WWW-Authenticate, Retry-After and others.
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def answer_field_errors(error: FieldErrors) -> ResponseReturnValue:
    """Answer 422 with every invalid field."""
    if _is_for_people():
        fields = "; ".join(f"{one['field']}: {one['message']}" for one in error.errors)
        return _answer(422, f"some fields are not as expected: {fields}", None)
    return problem(422, "some fields are not as expected", errors=error.errors)


def answer_input_error(error: InputError) -> ResponseReturnValue:
    """Answer an input error with the status of its class; with 422, name the fields."""
    if error.status == 422:
        fields = [{"field": field, "message": text} for field, text in error.errors.items()]
        return answer_field_errors(FieldErrors(fields))
    return answer_http_error(default_exceptions[error.status](str(error)))


def answer_store_error(error: StoreError) -> ResponseReturnValue:
    """Answer 503: the request needs the store, which does not answer."""
    ErrorTracker().log_error(error)
    return answer_unavailable("the store does not answer at the moment", RETRY_AFTER_S)


def answer_unavailable(detail: str, retry_after_s: int, event_id: str | None = None) -> Response:
    """Answer 503.

    :param retry_after_s: seconds after which the client should try again.
    :param event_id: the event that the error was recorded as.
    """
    response = _answer(503, detail, event_id)
    response.headers["Retry-After"] = str(retry_after_s)
    return response


def _answer(status: int, detail: str, event_id: str | None, csrf: bool = False) -> Response:
    if _is_for_people():
        return _page(status, detail, event_id, csrf)
    return problem(status, detail, event_id=event_id, links=event_id and links_of(event_id))


def _is_for_people() -> bool:
    """Whether the path is of a page, or the caller prefers HTML as browsers do."""
    if request.path.startswith(PAGES) or request.path == "/":
        return True
    if "text/html" not in request.headers.get("Accept", ""):
        return False
    accepted = request.accept_mimetypes
    return accepted["text/html"] > max(accepted["application/json"], accepted[PROBLEM_TYPE])


def _has_navigation(status: int) -> bool:
    """Whether the page of an error has the navigation, which reads the store."""
    if status == 503 or not request.path.startswith(WITH_NAVIGATION):
        return False
    try:
        return bool(current_user.is_authenticated)
    except StoreError:
        return False


def _detail(error: HTTPException) -> str:
    if isinstance(error, InternalServerError) and error.original_exception is not None:
        return "the server failed to answer; the error is recorded"
    return error.description or ""


def _page(status: int, detail: str, event_id: str | None, csrf: bool) -> Response:
    title = HTTP_STATUS_CODES.get(status, "Error")
    about: dict[str, Any] = {
        "status": status,
        "title": title,
        "detail": detail,
        "event_id": event_id,
        "csrf": csrf,
        "form": feedback_form.form_about(event_id) if event_id else None,
    }
    return Response(_drawn(about), status=status, content_type="text/html; charset=utf-8")


def _drawn(about: dict[str, Any]) -> str:
    if _has_navigation(about["status"]):
        try:
            return render_template("error_page.html", **about)
        except Exception as error:
            # The server failed, and it may be what every page has that fails.
            if about["status"] < 500:
                raise
            ErrorTracker().log_error(error)
    return render_template("error.html", **about)
