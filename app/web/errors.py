"""What a failing request answers: problem details for programs, a page for people.

There is no handler for ``Exception``: it would take errors away from the SDK, which listens to
what no handler took. Flask wraps those into a 500 that carries the ``original_exception``.
"""

from __future__ import annotations

from typing import Any, TypeVar

from flask import Flask, Response, abort, json, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.http import HTTP_STATUS_CODES

from app.memory.vectors.errors import VectorError
from app.sentry import ErrorTracker, event_id_of
from app.store import StoreError
from app.web import feedback_form

PROBLEM_TYPE = "application/problem+json"
# The pages of people; everything else answers programs.
PAGES = ("/admin", "/docs", "/feedback/")
RETRY_AFTER_S = 5

Found = TypeVar("Found")


class FieldErrors(Exception):
    """A body or query whose fields are wrong; answered with 422.

    :param errors: ``{"field", "message"}`` each.
    """

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__("the request has wrong fields")
        self.errors = errors


def or_404(found: Found | None, description: str) -> Found:
    """Return what was found.

    :raise 404: it was not.
    """
    return found if found is not None else abort(404, description)


def init_app(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(FieldErrors, answer_field_errors)
    app.register_error_handler(StoreError, answer_store_error)
    app.register_error_handler(VectorError, answer_vector_error)


def problem(status: int, detail: str = "", **more: Any) -> Response:
    """Return problem details.

    Source: RFC 9457, section 3.
    """
    title = HTTP_STATUS_CODES.get(status, "Error")
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail or title}
    body["instance"] = request.path
    body |= {key: value for key, value in more.items() if value is not None}
    return Response(json.dumps(body), status=status, content_type=PROBLEM_TYPE)


def links_of(event_id: str) -> dict[str, str]:
    """Return where an event is to be seen."""
    return {"event": f"/api/events/{event_id}", "trail": f"/admin/events/{event_id}"}


def answer_http_error(error: HTTPException) -> ResponseReturnValue:
    """Answer an HTTP error, recorded first if it is the server's."""
    original = getattr(error, "original_exception", None)
    if (error.code or 500) >= 500 and original is None:
        ErrorTracker().log_error(error)  # abort(5xx): nobody else has recorded it.
    event_id = event_id_of(original or error)
    if error.response is not None:
        return error.response
    detail = _detail(error)
    response = (
        _page(error.code or 500, detail, event_id, csrf=isinstance(error, CSRFError))
        if _wants_page()
        else problem(
            error.code or 500, detail, event_id=event_id, links=event_id and links_of(event_id)
        )
    )
    # Allow, WWW-Authenticate, Retry-After …: what this error says besides its body.
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def answer_field_errors(error: FieldErrors) -> ResponseReturnValue:
    """Answer 422 with every wrong field."""
    return problem(422, "some fields are not as expected", errors=error.errors)


def answer_store_error(error: StoreError) -> ResponseReturnValue:
    """Answer 503: what was asked for needs the store, which does not answer."""
    ErrorTracker().log_error(error)
    detail = "the store does not answer at the moment"
    response = _page(503, detail, None) if _wants_page() else problem(503, detail)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def answer_vector_error(error: VectorError) -> ResponseReturnValue:
    """Answer 503: embedder or index do not answer; the echo of a failure names its event."""
    cause = error.__cause__
    echoes = isinstance(cause, VectorError)
    event_id = event_id_of(cause) if echoes else ErrorTracker().log_error(error)
    if _wants_page():
        response = _page(503, str(error), event_id)
    else:
        links = event_id and links_of(event_id)
        response = problem(503, str(error), event_id=event_id, links=links)
    response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _detail(error: HTTPException) -> str:
    if isinstance(error, InternalServerError) and error.original_exception is not None:
        return "the server failed to answer; the error is recorded"
    return error.description or ""


def _wants_page() -> bool:
    return request.path.startswith(PAGES) or request.path == "/"


def _page(status: int, detail: str, event_id: str | None, csrf: bool = False) -> Response:
    title = HTTP_STATUS_CODES.get(status, "Error")
    text = render_template(
        "error.html",
        status=status,
        title=title,
        detail=detail,
        event_id=event_id,
        csrf=csrf,
        form=feedback_form.form_about(event_id) if event_id else None,
    )
    return Response(text, status=status, content_type="text/html; charset=utf-8")
