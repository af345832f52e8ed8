"""The route for check-ins without an SDK: `curl` at the beginning and at the end of a job.

    /api/<project>/cron/<slug>/<key>/?status=in_progress     → {"id": "…"}
    /api/<project>/cron/<slug>/<key>/?status=ok              ends the run that began last

Also ``check_in_id``, ``environment``, ``release`` and ``duration`` in seconds. The JSON of a POST
may have the same fields, and ``monitor_config``. What the query string says takes precedence. A
field that could not be kept as it is given is refused. A schedule that cannot be followed is named
in the answer and on the page of the monitor, since the check-in itself counts.

Source: https://docs.sentry.io/product/crons/getting-started/http/, 2026-11-28.
"""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue

from app.ingest import bp
from app.ingest.answers import Refusal, preflight
from app.ingest.body import read_body
from app.ingest.door import LIMITS, authorized, keep, parsed, passed_through
from app.monitors.check_in import MAX_DURATION_S, STATUSES
from app.monitors.settings import read_config, wrong_number
from app.monitors.tables import MAX_ENVIRONMENT, MAX_RELEASE
from app.protocol.envelope import Envelope, Item, parse_json
from app.protocol.event import parse_event_id
from app.protocol.lenient import read_number
from app.protocol.slug import MAX_SLUG, TOO_LONG, read_slug
from app.web import access

FIELDS = ("status", "check_in_id", "environment", "duration", "release", "monitor_config")


@bp.route(
    "/api/<int:project_id>/cron/<slug>/<key>/",
    methods=["GET", "POST", "OPTIONS"],
    strict_slashes=False,
)
@access.keyed
def take_check_in(project_id: int, slug: str, key: str) -> ResponseReturnValue:
    """Store a check-in.

    :return: 200 ``{"id": …}``, the id of the run, or ``{}`` if the check-in names none; with
        ``problem`` if its schedule cannot be followed.
    :raise Refusal: as :func:`app.ingest.door.take_envelope`; 400 if a field is wrong.
    """
    if request.method == "OPTIONS":
        return preflight()
    if request.method == "HEAD":
        return Response(status=204)  # Whoever only looks at a link runs no job.
    return _take(project_id, slug, key)


def _take(project_id: int, slug: str, key: str) -> Response:
    via, known = passed_through(), authorized(project_id, path_key=key)
    if known is None:
        raise Refusal(401, "no public key was given")
    payload = _payload(slug)
    keep(Envelope({}, [Item({"type": "check_in"}, payload)]), known, via)
    _, problem = read_config(payload.get("monitor_config")) or ({}, None)
    answer = {"id": payload.get("check_in_id"), "problem": problem}
    return jsonify({name: text for name, text in answer.items() if text is not None})


def _payload(slug: str) -> dict[str, Any]:
    """Return the payload of the check-in.

    :raise Refusal: 400 a field is wrong.
    """
    if not read_slug(slug):
        raise _wrong("slug: letters or digits are expected")
    if len(read_slug(slug)) > MAX_SLUG:
        raise _wrong(f"slug: {TOO_LONG}")
    given = _body() | request.args.to_dict()
    payload = {name: given[name] for name in FIELDS if given.get(name) not in (None, "")}
    payload["monitor_slug"] = slug
    if payload.get("status") not in STATUSES:
        raise _wrong(f"status: one of {', '.join(STATUSES)}")
    if "duration" in payload:
        payload["duration"] = _duration(payload["duration"])
    for name, longest in (("environment", MAX_ENVIRONMENT), ("release", MAX_RELEASE)):
        if name in payload and not _is_text(payload[name], longest):
            raise _wrong(f"{name}: a text of 1 to {longest} characters is expected")
    if "monitor_config" in payload and not isinstance(payload["monitor_config"], dict):
        raise _wrong("monitor_config: an object in the JSON of a POST is expected")
    if error := wrong_number(payload.get("monitor_config") or {}):
        raise _wrong(f"monitor_config.{error}")
    return _with_id(payload)


def _duration(given: object) -> float | int:
    seconds = read_number(given)
    if seconds is None or not 0 <= seconds <= MAX_DURATION_S:
        raise _wrong(f"duration: seconds from 0 to {MAX_DURATION_S:,} are expected")
    return seconds


def _is_text(given: object, longest: int) -> bool:
    return isinstance(given, str) and 0 < len(given.strip()) <= longest


def _with_id(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload with the id of its run.

    As in Sentry, 32 zeros mean the run that began last.
    """
    given = payload.pop("check_in_id", None)
    is_latest = isinstance(given, str) and given.replace("-", "") == "0" * 32
    if given is not None and not is_latest:
        if (id := parse_event_id(given)) is None:
            raise _wrong("check_in_id: 32 hexadecimal digits are expected")
        return payload | {"check_in_id": id}
    if payload["status"] == "in_progress":
        return payload | {"check_in_id": uuid.uuid4().hex}
    return payload


def _wrong(cause: str) -> Refusal:
    return Refusal(400, "the check-in is malformed", cause)


def _body() -> dict[str, Any]:
    if request.method != "POST":
        return {}
    with read_body() as body:
        if not body.strip() or not request.is_json:
            return {}  # `curl -d` sends a form, and a job may send its output.
        found = parsed(lambda text: parse_json(text, LIMITS), body)
    if not isinstance(found, dict):
        raise _wrong("the body is no JSON object")
    return found
