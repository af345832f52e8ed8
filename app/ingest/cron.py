"""The route for check-ins without an SDK: `curl` at the beginning and at the end of a job.

    /api/<project>/cron/<slug>/<key>/?status=in_progress     → {"id": "…"}
    /api/<project>/cron/<slug>/<key>/?status=ok              ends the run that began last

Also ``check_in_id``, ``environment`` and ``duration`` in seconds. The JSON of a POST may have the
same fields, and ``monitor_config``. What the query string says takes precedence.

Source: https://docs.sentry.io/product/crons/getting-started/http/, 2026-11-28.
"""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response, g, jsonify, request
from flask.typing import ResponseReturnValue

from app.ingest import bp
from app.ingest.answers import Refusal, preflight
from app.ingest.body import read_body
from app.ingest.door import LIMITS, keep, parsed, passed_through, project_of
from app.monitors.settings import read_slug
from app.protocol.envelope import Envelope, Item, parse_json
from app.protocol.event import parse_event_id
from app.protocol.lenient import read_number
from app.web import access

STATUSES = ("in_progress", "ok", "error")
FIELDS = ("status", "check_in_id", "environment", "duration", "release", "monitor_config")


@bp.route(
    "/api/<int:project_id>/cron/<slug>/<key>/",
    methods=["GET", "POST", "OPTIONS"],
    strict_slashes=False,
)
@access.keyed
def take_check_in(project_id: int, slug: str, key: str) -> ResponseReturnValue:
    """Store a check-in.

    :return: 200 ``{"id": …}``, the id of the run, or ``{}`` if the check-in names none.
    :raise Refusal: as :func:`app.ingest.door.take_envelope`; 400 if a field is wrong.
    """
    if request.method == "OPTIONS":
        return preflight()
    if request.method == "HEAD":
        return Response(status=204)  # Whoever only looks at a link runs no job.
    return _take(project_id, slug, key)


def _take(project_id: int, slug: str, key: str) -> Response:
    via = passed_through()
    keys = [key, *request.args.getlist("sentry_key")]
    known = project_of(request.headers, keys, project_id)
    if known is None:
        raise Refusal(401, "no public key was given")
    g.door_project = known
    payload = _payload(slug)
    keep(Envelope({}, [Item({"type": "check_in"}, payload)]), known, via)
    return jsonify({"id": payload["check_in_id"]} if "check_in_id" in payload else {})


def _payload(slug: str) -> dict[str, Any]:
    """Return the payload of the check-in.

    :raise Refusal: 400 a field is wrong.
    """
    if not read_slug(slug):
        raise Refusal(400, "the check-in is malformed", "slug: letters or digits are expected")
    given = _body() | request.args.to_dict()
    payload = {name: given[name] for name in FIELDS if given.get(name) not in (None, "")}
    payload["monitor_slug"] = slug
    if payload.get("status") not in STATUSES:
        raise Refusal(400, "the check-in is malformed", f"status: one of {', '.join(STATUSES)}")
    if "duration" in payload:
        payload["duration"] = read_number(payload["duration"])
        if payload["duration"] is None or payload["duration"] < 0:
            raise Refusal(400, "the check-in is malformed", "duration: seconds are expected")
    if "check_in_id" in payload:
        payload["check_in_id"] = parse_event_id(payload["check_in_id"])
        if payload["check_in_id"] is None:
            raise Refusal(400, "the check-in is malformed", "check_in_id: 32 hex digits")
    elif payload["status"] == "in_progress":
        payload["check_in_id"] = uuid.uuid4().hex
    return payload


def _body() -> dict[str, Any]:
    if request.method != "POST":
        return {}
    with read_body() as body:
        if not body.strip() or not request.is_json:
            return {}  # `curl -d` sends a form, and a job may send its output.
        found = parsed(lambda text: parse_json(text, LIMITS), body)
    if not isinstance(found, dict):
        raise Refusal(400, "the check-in is malformed", "the body is no JSON object")
    return found
