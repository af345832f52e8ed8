"""``POST /mcp``: messages of MCP in, JSON out. There are no streams, so GET is answered with 405.

A refused request is answered with an error of JSON-RPC, too, because that is what clients show.

Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http,
2026-11-28.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, json, request
from werkzeug.exceptions import HTTPException

from app.mcp import messages
from app.mcp.messages import BATCH_VERSION, INVALID_REQUEST, RpcError, error_body, reply_to
from app.store import StoreError
from app.web import access, errors
from app.web.json_body import read_bytes, read_json

bp = Blueprint("mcp", __name__)

MAX_BYTES = 64 * 1024
MAX_BATCH = 20
_CODES = {400: messages.PARSE_ERROR, 500: messages.INTERNAL_ERROR, 503: messages.INTERNAL_ERROR}


@bp.post("/mcp")
@access.calls_tools
def answer() -> Response:
    """Carry out the messages of the body.

    :raise 400: the body is no JSON. :raise 403: a page of another site asks.
    :raise 406: the client accepts no JSON. :raise 413: the body is larger than ``MAX_BYTES``.
    :raise 415: its Content-Type is not JSON.
    """
    if not access.is_of_known_origin():
        abort(403, description="a page of another site has no access")
    if request.accept_mimetypes and not request.accept_mimetypes["application/json"]:
        abort(406, description="Accept: application/json, text/event-stream is expected")
    body = read_json(read_bytes(MAX_BYTES), MAX_BYTES)
    try:
        version = messages.check_version(request.headers)
        if isinstance(body, list):
            return _answer_batch(body, version)
    except RpcError as error:
        return _json(error_body(_id_of(body), error.code, str(error), error.data), 400)
    return _json(*_reply(body))


def _answer_batch(batch: list[Any], version: str) -> Response:
    if version != BATCH_VERSION:
        raise RpcError(INVALID_REQUEST, f"only the version {BATCH_VERSION} has batches")
    if not 0 < len(batch) <= MAX_BATCH:
        raise RpcError(INVALID_REQUEST, f"a batch has 1 to {MAX_BATCH} messages")
    if any(isinstance(one, dict) and one.get("method") == "initialize" for one in batch):
        raise RpcError(INVALID_REQUEST, "initialize cannot be in a batch")
    bodies = [reply.body for reply in map(_reply, batch) if reply.body is not None]
    return _json(bodies or None, 200 if bodies else 202)


def _reply(message: Any) -> messages.Reply:
    token = access.token_access()
    if token is None:  # The access rule lets nobody pass without one.
        abort(401)
    return reply_to(message, token, request.headers)


def _id_of(body: Any) -> Any:
    found = body.get("id") if isinstance(body, dict) else None
    return found if isinstance(found, str | int) else None


def _json(body: Any, status: int) -> Response:
    if body is None:
        return Response(status=status)
    # A character in its own bytes, not as an escape of up to twelve. Half of a surrogate pair has
    # no bytes: in the id of a message, it goes back as the escape that it came as.
    text = json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace")
    return Response(text, status, content_type="application/json")


@bp.errorhandler(HTTPException)
def answer_http_error(error: HTTPException) -> Response:
    """Answer a refused or failed request with an error of JSON-RPC."""
    return _as_rpc(errors.answer_http_error(error), error.description or "")


@bp.errorhandler(StoreError)
def answer_store_error(error: StoreError) -> Response:
    """Answer 503: the store does not answer."""
    return _as_rpc(errors.answer_store_error(error), "the store does not answer at the moment")


def _as_rpc(answered: Any, reason: str) -> Response:
    """Return the answer that other routes would give, with the same words as JSON-RPC.

    :param reason: what the words are if the client asked for a page.
    """
    response: Response = answered
    problem = response.get_json(force=True, silent=True) or {}
    code = _CODES.get(response.status_code, INVALID_REQUEST)
    event_id = problem.get("event_id")
    data = {"event_id": event_id} if event_id else None
    response.set_data(json.dumps(error_body(None, code, problem.get("detail", reason), data)))
    response.content_type = "application/json"
    return response
