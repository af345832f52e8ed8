"""The routes for browsers: each violation of a page's policy becomes an event.

Reports of network errors (NEL) are kept and forwarded as items of the type ``nel``. A browser sends
reports of all kinds to one address, so these routes take the same.

Sources: https://docs.sentry.io/security-legal-pii/security/security-policy-reporting/ and
https://github.com/getsentry/relay (``endpoints/mod.rs``, ``nel.rs``), 2026-11-28.
"""

from __future__ import annotations

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue

from app.ingest import bp
from app.ingest.answers import Refusal, preflight
from app.ingest.body import read_body
from app.ingest.door import LIMITS, authorized, keep, parsed, passed_through
from app.protocol.envelope import Envelope, Item, parse_json
from app.protocol.lenient import read_name
from app.protocol.security_report import MAX_REPORTS, Sender, read_network_errors, read_reports
from app.web import access


@bp.route("/api/<int:project_id>/security/", methods=["POST", "OPTIONS"], strict_slashes=False)
@bp.route("/api/<int:project_id>/csp-report/", methods=["POST", "OPTIONS"], strict_slashes=False)
@bp.route("/api/<int:project_id>/nel/", methods=["POST", "OPTIONS"], strict_slashes=False)
@access.keyed
def take_reports(project_id: int) -> ResponseReturnValue:
    """Store reports of policy violations and of network errors. Those of other kinds are left out.

    :return: 200 ``{"id": …}``, the id of the last event, or ``{}`` if no report became an event.
    :raise Refusal: as :func:`app.ingest.door.take_envelope`.
    """
    return preflight() if request.method == "OPTIONS" else _take(project_id)


def _take(project_id: int) -> Response:
    via, known = passed_through(), authorized(project_id)
    if known is None:
        raise Refusal(401, "no public key was given")
    with read_body() as body:
        reports = parsed(lambda text: parse_json(text, LIMITS), body)
    if isinstance(reports, list) and len(reports) > MAX_REPORTS:
        raise Refusal(413, "the body is too large", f"at most {MAX_REPORTS} reports")
    answer = jsonify({})
    for payload in read_reports(reports, _sender()):
        answer = keep(Envelope({}, [Item({"type": "event"}, payload)]), known, via)
    if network_errors := read_network_errors(reports):
        headers = {"type": "nel", "content_type": "application/json"}
        keep(Envelope({}, [Item({**headers}, report) for report in network_errors]), known, via)
    return answer


def _sender() -> Sender:
    args = request.args
    return Sender(
        request.headers.get("User-Agent"),
        read_name(args.get("sentry_release")),
        read_name(args.get("sentry_environment")),
    )
