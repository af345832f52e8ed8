"""The ingest routes. They check the key, parse the envelope, store it, and only then answer 200.

/api/<project>/envelope/   /api/<project>/store/     also below a prefix, also without the slash
/api/envelope/  /api/store/                          the project is that of the key
/tunnel/ and any unused path of one segment          for envelopes with a DSN of this service
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from flask import Response, g, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from app.ingest import bp, quota
from app.ingest.answers import (
    Refusal,
    answer_refusal,
    answer_store_error,
    caller_of_request,
    preflight,
    with_cors,
)
from app.ingest.body import MAX_INFLATED_BYTES, read_body
from app.protocol.client_auth import (
    AuthError,
    DsnError,
    Headers,
    read_credentials,
)
from app.protocol.envelope import (
    Envelope,
    EnvelopeError,
    EnvelopeTooLarge,
    Item,
    Limits,
    parse_envelope,
    parse_headers,
    parse_json,
)
from app.protocol.event import parse_event_id
from app.protocol.inflate import BodyError, BodyTooLarge, inflate_base64
from app.store import StoreError
from app.web import access
from app.web.current import current_intake, current_keys, current_store

Parsed = TypeVar("Parsed")

LIMITS = Limits(
    items=100,  # Sentry's own limit for sessions; SDKs send a handful.
    header_bytes=64 * 1024,  # Trace headers and baggage come to 1 or 2 kB.
    json_bytes=10 * 1024**2,  # Sentry refuses events above 1 MiB, spans and profiles above 10.
    json_values=100_000,  # Some 20 MiB in memory with their scrubbed copy.
    profile_values=600_000,  # More samples than have 10 MiB. Scrubbing does not copy them.
    depth=128,  # Where Relay's own parser (serde_json) stops.
)
# How long an envelope waits for the store before its client gets 503.
ACCEPT_WAIT_S = 5.0
# When a client whose key may have been lost should try again.
RETRY_S = 60.0
# Items that belong to an event. An envelope with one of them gets an event id if it has none.
EVENT_BOUND_ITEMS = frozenset(
    {
        *("event", "transaction", "attachment", "feedback", "user_report", "security"),
        *("replay_event", "unreal_report"),
    }
)
# The main items. An envelope has at most one item of these types.
MAIN_ITEMS = frozenset({"event", "transaction"})
# An old client may send an event or a transaction to ``/store/``.
_EVENT_OR_TRANSACTION = Envelope({}, [Item({"type": name}, {}) for name in sorted(MAIN_ITEMS)])
# The instances that an envelope passed through. If this instance is among them, there is a loop.
INSTANCE_HEADER = "X-DevEnviro-Instance"
MAX_VIA_LENGTH = 500


@bp.route("/api/<int:project_id>/envelope/", methods=["POST", "OPTIONS"], strict_slashes=False)
@bp.route(
    "/<path:prefix>/api/<int:project_id>/envelope/",
    methods=["POST", "OPTIONS"],
    strict_slashes=False,
)
@bp.route("/api/envelope/", methods=["POST", "OPTIONS"], strict_slashes=False)
@bp.route("/tunnel/", methods=["POST", "OPTIONS"], strict_slashes=False)
@access.keyed
def take_envelope(project_id: int | None = None, prefix: str = "") -> ResponseReturnValue:
    """Store an envelope.

    :return: 200 ``{"id": …}`` when the envelope is on the disk, ``{}`` if it has no event id.
    :raise Refusal: 400, 401, 403, 413, 429, 503, 508.
    :raise StoreError: nothing was stored; answered with 503.
    """
    return preflight() if request.method == "OPTIONS" else _take(project_id, envelope_of, _dsn_in)


@bp.route("/api/<int:project_id>/store/", methods=["POST", "OPTIONS"], strict_slashes=False)
@bp.route(
    "/<path:prefix>/api/<int:project_id>/store/",
    methods=["POST", "OPTIONS"],
    strict_slashes=False,
)
@bp.route("/api/store/", methods=["POST", "OPTIONS"], strict_slashes=False)
@access.keyed
def take_event(project_id: int | None = None, prefix: str = "") -> ResponseReturnValue:
    """Store an event of an old client, which sends JSON without an envelope.

    :raise Refusal: as :func:`take_envelope`.
    """
    return preflight() if request.method == "OPTIONS" else _take(project_id, _envelope_around)


def try_tunnel() -> ResponseReturnValue | None:
    """Store an envelope sent to a path without a route, if its DSN belongs to this service.

    :return: the answer; ``None`` if the path is unknown after all.
    """
    if not isinstance(request.routing_exception, NotFound) or not may_be_tunnel():
        return None
    try:
        answer = _take_tunneled()
    except Refusal as refusal:
        return answer_refusal(refusal)
    except StoreError as error:
        return answer_store_error(error)
    return with_cors(answer) if answer else None


def may_be_tunnel() -> bool:
    """Return whether a path without a route accepts envelopes."""
    return request.method == "POST" and "/" not in request.path.strip("/")


def check_head() -> None:
    """Check the head of a request with an envelope, before its body is read.

    :raise Refusal: 401, 403, 508; 429 if everything the path accepts is beyond the quota.
    :raise ShareExceeded: the store is nearly full, and the project exceeds its share of it.
    :raise StoreFull: the store is full.
    :raise StoreError: the store does not answer.
    """
    if request.method == "OPTIONS":
        return
    passed_through()
    project_id = authorized((request.view_args or {}).get("project_id"))
    is_event = request.endpoint == f"{bp.name}.{take_event.__name__}"
    if project_id is None:
        if is_event:
            raise Refusal(401, "no public key was given")
        return
    caller = caller_of_request()
    current_intake().check_room(project_id, caller=caller)
    if is_event:
        # An envelope may contain items without a quota, which only its body shows.
        quota.check(_EVENT_OR_TRANSACTION, project_id, caller)


# ---- steps --------------------------------------------------------------------------------------


def _take(
    project_id: int | None,
    parse: Callable[[bytearray], Envelope],
    dsn_in: Callable[[bytearray], object] | None = None,
) -> Response:
    """Authorize, read the body, authorize by the DSN in the body, store."""
    via = passed_through()
    known = authorized(project_id)
    if known is None and dsn_in is None:
        raise Refusal(401, "no public key was given")
    with read_body() as body:
        dsn = dsn_in(body) if dsn_in is not None else None
        if dsn is not None:
            known = authorized(project_id, dsn)
        if known is None:
            raise Refusal(401, "no public key was given")
        return keep(parsed(parse, body), known, via)


def _take_tunneled() -> Response | None:
    with read_body() as body:
        try:
            dsn = _dsn_in(body)
            known = authorized(None, dsn) if dsn is not None else None
        except Refusal as refusal:
            if refusal.status == 503:
                raise
            return None
        return None if known is None else keep(parsed(envelope_of, body), known, passed_through())


def authorized(
    project_id: int | None, dsn: object = None, path_key: str | None = None
) -> int | None:
    """Return the project of the key in the request, ``None`` if the request has no key.

    :param project_id: the project in the path.
    :param dsn: the DSN in the body. :param path_key: the key in the path.
    :raise Refusal: 403 the key is unknown or belongs to another project; 503 the key may have been
        lost; 400 the DSN is malformed.
    """
    keys = request.args.getlist("sentry_key")
    if path_key is not None:
        keys.insert(0, path_key)
    project = project_of(request.headers, keys, project_id, dsn)
    if project is not None:
        g.door_project = project
    return project


def project_of(
    headers: Headers, query_keys: Iterable[str], project_id: int | None, dsn: object = None
) -> int | None:
    """Return the project of the key in a request, as :func:`authorized` does.

    :raise Refusal: as :func:`authorized`.
    """
    try:
        found = read_credentials(headers, query_keys, dsn)
    except DsnError as error:
        raise Refusal(400, "the envelope is malformed", str(error)) from error
    except AuthError as error:
        raise Refusal(
            403, "the credentials disagree", str(error), reason="credentials_disagree"
        ) from error
    if found is None:
        return None
    project = current_keys().project_of(found.key)
    if project is None:
        if current_keys().may_be_lost():
            # The SDK would drop its events after a 403, and a person may still restore the key.
            raise Refusal(503, "the keys of a damaged store are missing", retry_after_s=RETRY_S)
        raise Refusal(403, "the public key is unknown or revoked")
    if {project_id, found.project_id} - {None, project}:
        raise Refusal(
            403, "the public key belongs to another project", reason="key_of_another_project"
        )
    return project


def passed_through() -> str | None:
    """Return the instances that the envelope passed through.

    :raise Refusal: 508 this instance is among them, or there are more than anyone chains on
        purpose.
    """
    via = request.headers.get(INSTANCE_HEADER)
    if not via:
        return None
    instances = {part.strip() for part in via.split(",")}
    if len(via) > MAX_VIA_LENGTH or current_store().instance_id() in instances:
        raise Refusal(508, "loop detected: the DSN leads back to this service")
    return via


def keep(envelope: Envelope, project_id: int, via: str | None) -> Response:
    """Store an envelope, if it contains an item.

    :param via: the result of :func:`passed_through`.
    :raise Refusal: 400 its event id is malformed; 429 it is beyond the quota.
    :raise StoreError: nothing was stored.
    """
    event_id = give_event_id(envelope)
    if envelope.items:
        caller = caller_of_request()
        limit = quota.check(envelope, project_id, caller)
        accepted = current_intake().accept(
            envelope,
            project_id=project_id,
            timeout_s=ACCEPT_WAIT_S,
            via=via,
            quota=limit,
            caller=caller,
        )
        quota.check_accepted(envelope, project_id, limit, accepted)
    return jsonify({"id": event_id} if event_id else {})


# ---- reading ------------------------------------------------------------------------------------


def parsed(parse: Callable[[bytearray], Parsed], body: bytearray) -> Parsed:
    """Parse a body, and empty it.

    :raise Refusal: 400, 413.
    """
    try:
        result = parse(body)
    except (EnvelopeTooLarge, BodyTooLarge) as error:
        raise Refusal(413, "the envelope is too large", str(error)) from error
    except (EnvelopeError, BodyError) as error:
        raise Refusal(400, "the envelope is malformed", str(error)) from error
    body.clear()  # The items are copies. A large body must not be in memory twice.
    return result


def _dsn_in(body: bytearray) -> object:
    try:
        return parse_headers(body, LIMITS).get("dsn")
    except EnvelopeError as error:
        status = 413 if isinstance(error, EnvelopeTooLarge) else 400
        raise Refusal(status, "the envelope is malformed", str(error)) from error


def envelope_of(body: bytearray) -> Envelope:
    envelope = parse_envelope(body, LIMITS)
    main = [item for item in envelope.items if item.type in MAIN_ITEMS]
    if len(main) > 1:
        raise EnvelopeError("an envelope has at most one event or transaction")
    if main and not isinstance(main[0].payload, dict):
        raise EnvelopeError(f"the payload of an item {main[0].type!r} is no JSON object")
    return envelope


def _envelope_around(body: bytearray) -> Envelope:
    """Put the JSON of ``/store/`` into an envelope. The JSON may be base64 of zlib."""
    text: bytes | bytearray = body
    if not body.lstrip()[:1] == b"{":
        text = inflate_base64(bytes(body), MAX_INFLATED_BYTES)
    payload = parse_json(text, LIMITS)
    if not isinstance(payload, dict):
        raise EnvelopeError("the body is no JSON object")
    kind = "transaction" if payload.get("type") == "transaction" else "event"
    return Envelope({}, [Item({"type": kind}, payload)])


def give_event_id(envelope: Envelope) -> str | None:
    """Return the event id of the envelope, and write it to the header, which takes precedence.

    A malformed id (zeros, another format) is replaced. If the envelope were refused, the event
    would be lost. If the id were kept, the next event with it would count as a duplicate.
    """
    event_id = parse_event_id(envelope.headers.pop("event_id", None))
    if event_id is None and EVENT_BOUND_ITEMS.intersection(envelope.item_types):
        event_id = _id_in_payload(envelope) or uuid.uuid4().hex
    if event_id:
        envelope.headers["event_id"] = event_id
        _replace_odd_ids(envelope, event_id)
    return event_id


def _replace_odd_ids(envelope: Envelope, event_id: str) -> None:
    """Replace malformed ids in payloads by the envelope's id, for services it is forwarded to."""
    for item in envelope.items:
        if item.type in MAIN_ITEMS | {"feedback"} and isinstance(item.payload, dict):
            if "event_id" in item.payload and parse_event_id(item.payload["event_id"]) is None:
                item.payload["event_id"] = event_id


def _id_in_payload(envelope: Envelope) -> str | None:
    payloads: list[Any] = [
        item.payload for item in envelope.items if item.type in MAIN_ITEMS | {"feedback"}
    ]
    ids = (
        parse_event_id(payload.get("event_id")) for payload in payloads if isinstance(payload, dict)
    )
    return next((found for found in ids if found), None)
