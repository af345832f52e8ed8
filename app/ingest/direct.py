"""Ordinary envelopes, answered in batches and without Flask: no session, no hooks, no jsonify.

    requests of a batch ──▶ authorize, inflate, parse, prepare each ──▶ one transaction ──▶ answers

Whatever is not ordinary goes the ordinary way, to the routes of :mod:`.door`, before anything of it
is stored or counted: another content encoding, a wrong key, a body that is large when it is
inflated, attachments, an envelope of another instance. So every error is answered in one place.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from werkzeug.middleware.proxy_fix import ProxyFix

from app.ingest import quota
from app.ingest.answers import Refusal, answer_refusal, answer_store_error
from app.ingest.door import (
    ACCEPT_WAIT_S,
    INSTANCE_HEADER,
    envelope_of,
    give_event_id,
    project_of,
)
from app.intake.prepared import Accepted, Prepared
from app.protocol.caller import Caller, read_address
from app.protocol.client_auth import read_client_name
from app.protocol.envelope import Envelope
from app.protocol.inflate import inflate
from app.server.batches import Answer, Complete
from app.store import StoreError
from app.web.current import current_intake

_PATH = re.compile(r"/api/([1-9][0-9]{0,9})/envelope/?")
_PLAIN_QUERY = re.compile(r"[\w.&=/:@-]*", re.ASCII)
# How much a body may grow when it is inflated. JSON of events grows five- to tenfold.
MAX_GROWTH, MIN_INFLATED_BYTES, MAX_INFLATED_BYTES = 20, 32 * 1024, 256 * 1024
# The answer to an accepted envelope is rendered once, with this id in the place of the real one.
_SOME_ID, SOME_PATH = b"0" * 32, "/api/1/envelope/"


class Odd(Exception):
    """The request is not ordinary."""


class _Headers:
    """Headers by their names in any case."""

    def __init__(self, by_upper_name: dict[str, str]) -> None:
        self._by_upper_name = by_upper_name

    def get(self, name: str) -> str | None:
        return self._by_upper_name.get(name.upper())


class _Ordinary(NamedTuple):
    """A request with an ordinary envelope of a client that has a key."""

    path: str
    project_id: int
    envelope: Envelope
    caller: Caller


class _Ready(NamedTuple):
    """An envelope that is ready to be stored; ``limit`` is the quota that it counts against."""

    of: _Ordinary
    event_id: str | None
    limit: int | None
    prepared: Prepared


class DirectDoor:
    """Answers ordinary envelopes of an application in batches. Use one in each process."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._hops = app.extensions["devenviro.config"].TRUSTED_PROXIES
        some_id = _SOME_ID.decode()
        self._accepted = self._rendered(SOME_PATH, lambda: jsonify({"id": some_id}))
        self._accepted_without_id = self._rendered(SOME_PATH, lambda: jsonify({}))

    def takes(self, method: str, path: str) -> bool:
        """Return whether a request may have an ordinary envelope."""
        return method == "POST" and _PATH.fullmatch(path) is not None

    def answer(self, requests: Iterable[Complete]) -> list[Answer | None]:
        """Store the envelopes of a batch in one transaction and return the answers.

        :return: an answer for each request, ``None`` where it has to go the ordinary way.
        """
        with self._app.app_context():
            read = [self._read(request) for request in requests]
            ready = [found for found in read if isinstance(found, _Ready)]
            prepared = [found.prepared for found in ready]
            outcomes = iter(current_intake().store_all(prepared, ACCEPT_WAIT_S))
            return [
                self._answer_to(found, next(outcomes)) if isinstance(found, _Ready) else found
                for found in read
            ]

    def _read(self, request: Complete) -> _Ready | Answer | None:
        try:
            ordinary = self._ordinary(request)
        except Exception:
            return None  # The ordinary way names the error, and records it if it is ours.
        try:
            return self._ready(ordinary)
        except StoreError as error:
            return self._rendered(request.path, partial(answer_store_error, error))
        except Refusal as refusal:
            return self._rendered(request.path, partial(answer_refusal, refusal))

    def _ordinary(self, request: Complete) -> _Ordinary:
        """Authorize and parse an ordinary request.

        :raise Exception: it is not ordinary, or not valid.
        """
        headers = _Headers(request.headers)
        if headers.get(INSTANCE_HEADER) or not _PLAIN_QUERY.fullmatch(request.query):
            raise Odd
        path, args = _PATH.fullmatch(request.path), parse_qs(request.query)
        if path is None:
            raise Odd
        authorize = partial(project_of, headers, args.get("sentry_key", ()), int(path[1]))
        project_id = authorize()
        if project_id is None:
            raise Odd
        envelope = envelope_of(_inflated(request.body, headers.get("Content-Encoding") or ""))
        if not envelope.items or "attachment" in envelope.item_types:
            raise Odd
        if (dsn := envelope.headers.get("dsn")) is not None:
            authorize(dsn)
        client = read_client_name(headers, args.get("sentry_client", [None])[0])
        address = read_address(self._address_of(request, headers))
        caller = Caller(address, headers.get("User-Agent"), client)
        return _Ordinary(request.path, project_id, envelope, caller)

    def _address_of(self, request: Complete, headers: _Headers) -> str:
        if not self._hops:
            return request.client
        environ: dict[str, Any] = {
            "REMOTE_ADDR": request.client,
            "HTTP_X_FORWARDED_FOR": headers.get("X-Forwarded-For"),
        }
        start: Any = None  # Nothing answers here: the middleware only sets the address.
        ProxyFix(lambda *_: (), x_for=self._hops, x_proto=0)(environ, start)
        return str(environ["REMOTE_ADDR"])

    def _ready(self, ordinary: _Ordinary) -> _Ready:
        envelope, project_id = ordinary.envelope, ordinary.project_id
        current_intake().check_room(project_id, envelope, ordinary.caller)
        event_id = give_event_id(envelope)
        limit = quota.check(envelope, project_id, ordinary.caller)
        prepared = current_intake().prepare(
            envelope, project_id=project_id, quota=limit, caller=ordinary.caller
        )
        return _Ready(ordinary, event_id, limit, prepared)

    def _answer_to(self, ready: _Ready, outcome: Accepted | Exception) -> Answer | None:
        of = ready.of
        if isinstance(outcome, StoreError):
            return self._rendered(of.path, partial(answer_store_error, outcome))
        if isinstance(outcome, Exception):
            return None  # It was not stored. The ordinary way records the error.
        try:
            quota.check_accepted(of.envelope, of.project_id, ready.limit, outcome)
        except Refusal as refusal:
            return self._rendered(of.path, partial(answer_refusal, refusal))
        if ready.event_id is None:
            return self._accepted_without_id
        return self._accepted._replace(
            body=self._accepted.body.replace(_SOME_ID, ready.event_id.encode())
        )

    def _rendered(self, path: str, answer: Callable[[], ResponseReturnValue]) -> Answer:
        """Return an answer with the headers that Flask's hooks add to answers of the routes."""
        with self._app.test_request_context(path, method="POST"):
            response = self._app.process_response(self._app.make_response(answer()))
        body = response.get_data()
        response.content_length = len(body)
        lines = (f"{name}: {text}\r\n" for name, text in response.headers.items())
        return Answer(response.status, "".join(lines).encode("latin-1"), body)


def _inflated(body: bytes, encoding: str) -> bytearray:
    """Return the inflated body.

    :raise BodyError: it is damaged, or larger than an ordinary body.
    """
    limit = min(MAX_INFLATED_BYTES, max(MIN_INFLATED_BYTES, MAX_GROWTH * len(body)))
    return bytearray().join(inflate(io.BytesIO(body), encoding, limit))
