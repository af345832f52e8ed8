"""The route for the crash reporter of Unreal Engine, which sends a packed report as the body.

It is kept and forwarded as an item of the type ``unreal_report``; Sentry makes an event of it.

Sources: https://docs.sentry.io/platforms/unreal/configuration/setup-crashreporter/ and
https://github.com/getsentry/relay (``endpoints/unreal.rs``), 2026-11-28.
"""

from __future__ import annotations

import uuid

from flask import Response, request
from flask.typing import ResponseReturnValue

from app.ingest import bp
from app.ingest.answers import Refusal, preflight
from app.ingest.body import read_body
from app.ingest.door import authorized, keep, passed_through
from app.protocol.envelope import Envelope, Item
from app.protocol.lenient import read_name
from app.web import access

MAX_USER_ID = 200


@bp.route("/api/<int:project_id>/unreal/<key>/", methods=["POST", "OPTIONS"], strict_slashes=False)
@access.keyed
def take_unreal_report(project_id: int, key: str) -> ResponseReturnValue:
    """Store a crash report.

    :return: 200 with the id of the event that Sentry makes of it, as text.
    :raise Refusal: as :func:`app.ingest.door.take_envelope`; 400 if the body is empty.
    """
    return preflight() if request.method == "OPTIONS" else _take(project_id, key)


def _take(project_id: int, key: str) -> Response:
    via, known = passed_through(), authorized(project_id, path_key=key)
    if known is None:
        raise Refusal(401, "no public key was given")
    with read_body() as body:
        if not body:
            raise Refusal(400, "the crash report is malformed", "the body is empty")
        item = Item(
            {"type": "unreal_report", "content_type": "application/octet-stream"}, bytes(body)
        )
        body.clear()
        answer = keep(Envelope(_headers(), [item]), known, via)
    return Response(str(uuid.UUID(answer.get_json()["id"])), mimetype="text/plain")


def _headers() -> dict[str, str]:
    """Return the headers of the envelope; Sentry reads the user of the game from there."""
    user_id = read_name(request.args.get("UserID"))
    return {"unreal_user_id": user_id[:MAX_USER_ID]} if user_id else {}
