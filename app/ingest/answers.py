"""Answers to clients: Sentry's error format, and headers that let browsers read the answer."""

from __future__ import annotations

import logging
import math

from flask import Response, g, json, request
from flask.typing import ResponseReturnValue

from app.ingest import bp
from app.intake.store_bound import ShareExceeded
from app.protocol.caller import Caller, read_address
from app.protocol.client_auth import read_client_name
from app.sentry import INGEST_PATHS
from app.store import StoreBusy, StoreError, StoreFull
from app.web.current import current_intake, current_keys

log = logging.getLogger("app.tracker")

RETRY_AFTER_S = 5
# If envelopes may be removed, room is made within a second. Otherwise clients have to wait until
# Sentry accepts envelopes again.
FULL_RETRY_AFTER_S = 10
# Any page may report, because the key authorizes a report, not the origin of the page. If a browser
# may not read the answer, its SDK sees a network error, although the event was stored.
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "x-sentry-error, x-sentry-rate-limits, retry-after",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": (
        "x-sentry-auth, authorization, content-type, content-encoding, transfer-encoding, "
        "x-requested-with, accept, origin, referer, sentry-trace, baggage"
    ),
    "Access-Control-Max-Age": "3600",
}


class Refusal(Exception):
    """A refused request.

    :param status: HTTP status of the answer.
    :param detail: one sentence for the person who reads the SDK's debug output.
    :param causes: the causes, outermost first.
    :param retry_after_s: seconds after which the client should try again.
    :param limited: the data categories that have to wait that long, and their scope, in the
        format of ``X-Sentry-Rate-Limits``.
    :param reason: the counter of this refusal, one of :data:`app.projects.quotas.REASONS`. By
        default it follows from the status.
    :param is_read: whether the body was read to its end. If not, the connection is closed after
        the answer. Otherwise the rest of the body would be parsed as the next request.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *causes: str,
        retry_after_s: float | None = None,
        limited: str | None = None,
        reason: str | None = None,
        is_read: bool = True,
    ) -> None:
        super().__init__(detail)
        self.reason = reason or _REASONS.get(status)
        self.status, self.detail, self.causes = status, detail, causes
        self.retry_after_s, self.limited, self.is_read = retry_after_s, limited, is_read


# The reason that counts a refusal, by status. 429 is counted where quotas and the store's bound are
# checked.
_REASONS = {400: "malformed", 401: "no_key", 403: "unknown_key", 413: "too_large"}


@bp.errorhandler(Refusal)
def answer_refusal(refusal: Refusal) -> ResponseReturnValue:
    """Answer in Sentry's format, and count the refusal."""
    if refusal.reason is not None:
        project_id, caller = _project_of_request(), caller_of_request()
        current_intake().count_refusal(refusal.reason, project_id, caller=caller)
    body = {"detail": refusal.detail, "causes": list(refusal.causes)}
    response = Response(json.dumps(body), refusal.status, content_type="application/json")
    response.headers["X-Sentry-Error"] = _header_text(": ".join((refusal.detail, *refusal.causes)))
    if refusal.retry_after_s is not None:
        seconds = max(1, math.ceil(refusal.retry_after_s))
        response.headers["Retry-After"] = str(seconds)
        if refusal.limited is not None:
            response.headers["X-Sentry-Rate-Limits"] = f"{seconds}:{refusal.limited}"
    if not refusal.is_read:
        response.headers["Connection"] = "close"
    return with_cors(response)


def caller_of_request() -> Caller:
    """Return the sender of this request; behind ``TRUSTED_PROXIES``, the client they name."""
    return Caller(
        read_address(request.remote_addr),
        request.headers.get("User-Agent"),
        read_client_name(request.headers, request.args.get("sentry_client")),
    )


def _project_of_request() -> int | None:
    """Return the project the refusal counts for: the key's, or else the path's if it exists."""
    if (known := g.get("door_project")) is not None:
        return int(known)
    named = (request.view_args or {}).get("project_id")
    try:
        return named if named is not None and current_keys().has_project(named) else None
    except StoreError:
        return None


@bp.errorhandler(StoreError)
def answer_store_error(error: StoreError) -> ResponseReturnValue:
    """Answer 503, or 429 to a project that exceeds its share. Nothing was stored."""
    if isinstance(error, ShareExceeded):
        return answer_refusal(
            Refusal(
                429, str(error), retry_after_s=FULL_RETRY_AFTER_S, limited=":project:store_full"
            )
        )
    # Log this, but record no event: there may be as many refusals as there are events.
    log.warning("the store did not take an envelope: %s", error)
    cause, retry_after_s = "it does not answer", RETRY_AFTER_S
    if isinstance(error, StoreBusy):
        cause = "it is busy"
    elif isinstance(error, StoreFull):
        cause, retry_after_s = "store_full: it has reached MAX_STORE_BYTES", FULL_RETRY_AFTER_S
    return answer_refusal(
        Refusal(503, "the store takes nothing at the moment", cause, retry_after_s=retry_after_s)
    )


def preflight() -> Response:
    """Answer a CORS preflight request."""
    return with_cors(Response(status=204, headers=PREFLIGHT))


def with_cors(response: Response) -> Response:
    """Allow every page to read the answer."""
    response.headers.update(CORS)
    # Otherwise the policy of this application's pages would forbid what CORS allows.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@bp.after_app_request
def open_to_pages(response: Response) -> Response:
    """Add the headers to every answer below the ingest paths.

    This includes 404 and 405, which come from no view.
    """
    if not INGEST_PATHS.match(request.path):
        return response
    if response.status_code >= 400 and "X-Sentry-Error" not in response.headers:
        response.headers["X-Sentry-Error"] = response.status
    return with_cors(response)


def _header_text(text: str) -> str:
    printable = (char if " " <= char <= "~" else "?" for char in text[:500])
    return "".join(printable)
