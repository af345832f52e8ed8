"""Answer a request from its head alone, before its body is read, where that is possible.

The event loop (app.server) calls this when a body is large or takes a while. A request that arrives
complete is answered by its view, which makes the same checks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Flask, abort, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, NotFound

from app.ingest import bp, door
from app.ingest.answers import Refusal, answer_store_error
from app.ingest.body import MAX_WIRE_BYTES
from app.intake.store_bound import ShareExceeded
from app.store import StoreError, StoreFull
from app.web import access
from app.web.json_body import body_limit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


def head_check(app: Flask) -> Callable[[WSGIEnvironment, int], WSGIApplication | int]:
    """Return the check for the event loop. It returns an answer, or the allowed size of the body.

    The check answers 401, 403, 404, 405, 413, 429 and 508, and 503 if the store is full. It runs in
    a thread, because it may read the store. If the store does not answer, the body is read and the
    view answers.
    """

    def check(environ: WSGIEnvironment, received: int) -> WSGIApplication | int:
        with app.request_context(environ):
            try:
                verdict = _answer_or_limit(received)
                if isinstance(verdict, int):
                    return verdict
                response = app.make_response(verdict)
            except (ShareExceeded, StoreFull) as error:
                response = app.make_response(answer_store_error(error))
            except StoreError:
                return MAX_WIRE_BYTES
            except (HTTPException, Refusal) as error:
                response = app.make_response(app.handle_user_exception(error))
            return app.process_response(response)

    return check


def _answer_or_limit(received: int) -> ResponseReturnValue | int:
    if request.routing_exception is not None:
        if not (isinstance(request.routing_exception, NotFound) and door.may_be_tunnel()):
            raise request.routing_exception
        return _within(MAX_WIRE_BYTES, received)
    answer = access.enforce()
    if answer is not None:
        return answer
    if (request.endpoint or "").partition(".")[0] == bp.name:
        door.check_head()
        return _within(MAX_WIRE_BYTES, received)
    return _within(body_limit(), received)


def _within(limit: int, received: int) -> int:
    """Return the limit of the body, in bytes.

    :param received: bytes of the body that arrived or were announced.
    :raise 413: the body exceeds the limit.
    """
    if max(request.content_length or 0, received) > limit:
        if limit == MAX_WIRE_BYTES:
            raise Refusal(
                413, "the body is too large", f"at most {limit} bytes are expected", is_read=False
            )
        abort(413, description=f"at most {limit} bytes are expected")
    return limit
