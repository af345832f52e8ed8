"""Routes of other packages in the OpenAPI document: :mod:`app.ingest` for SDKs, :mod:`app.mcp`."""

from __future__ import annotations

from typing import Any

ENVELOPE, STORE = "/api/{project_id}/envelope/", "/api/{project_id}/store/"
SECURITY, MINIDUMP = "/api/{project_id}/security/", "/api/{project_id}/minidump/"
CSP, NEL = "/api/{project_id}/csp-report/", "/api/{project_id}/nel/"
CRON, UNREAL = "/api/{project_id}/cron/{slug}/{key}/", "/api/{project_id}/unreal/{key}/"
_BYTES = "application/octet-stream"
_KEY = "The public key of a project, in `X-Sentry-Auth`, `sentry_key` or the DSN of the envelope."
_ANSWERS = {
    200: "It is on the disk.",
    400: "The body is malformed.",
    401: "No public key was given.",
    403: "The public key is unknown, revoked or of another project.",
    413: "The body is too large.",
    429: "The project is over its quota, or beyond its share of a store that is nearly full. "
    "`Retry-After` and `X-Sentry-Rate-Limits` say for how long.",
    503: "The store does not answer, or it is full (`store_full`): nothing was kept. "
    "`Retry-After` says when to try again.",
    508: "The DSN leads back to this service.",
}
MCP = "/mcp"
# These are errors of JSON-RPC.
_REFUSALS = {
    400: "The body is no JSON or no message, or its version is not known.",
    401: "A token is needed, or the one that was sent does not work.",
    403: "The token lacks the scope, or a page of another site asks.",
    404: "MCP is off, since no token has the scope; or there is no such method.",
    406: "The client accepts no JSON.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    503: "The store does not answer.",
}
_MEMBERS = {
    200: {"id": {"type": "string"}},
    0: {"detail": {"type": "string"}, "causes": {"type": "array", "items": {"type": "string"}}},
}


def paths() -> dict[str, dict[str, Any]]:
    """Return the path items of the ingest routes."""
    return {
        ENVELOPE: {"post": _door("send_envelope", "Keep an envelope", _BYTES)},
        STORE: {"post": _door("send_event", "Keep an event of an old SDK", "application/json")},
        SECURITY: {
            "post": _door(
                "send_reports", "Keep what a policy of a page blocked", "application/csp-report"
            )
        },
        CSP: {
            "post": _door("send_csp_reports", f"The same as {SECURITY}", "application/csp-report")
        },
        NEL: {
            "post": _door("send_network_errors", "Keep network errors", "application/reports+json")
        },
        UNREAL: {"post": _unreal()},
        MINIDUMP: {"post": _minidump()},
        CRON: {"get": _cron("check_in"), "post": _cron("post_check_in")},
    }


def _minidump() -> dict[str, Any]:
    door = _door("send_minidump", "Keep a minidump of a crash", "multipart/form-data")
    file = {"upload_file_minidump": {"type": "string", "contentMediaType": _BYTES}}
    event = {"sentry": {"type": "string", "description": "Members of the event, as JSON."}}
    form = {"type": "object", "required": list(file), "properties": file | event}
    door["requestBody"]["content"] = {"multipart/form-data": {"schema": form}}
    door["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return door


def _unreal() -> dict[str, Any]:
    door = _door("send_unreal_report", "Keep a crash report of Unreal Engine", _BYTES)
    door["parameters"] += [
        {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
        for name, place in (("key", "path"), ("UserID", "query"))
    ]
    door["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return door


def _cron(name: str) -> dict[str, Any]:
    door = _door(name, "Keep a check-in of a job", "application/json")
    texts = [("slug", "path"), ("key", "path")]
    texts += [(name, "query") for name in ("check_in_id", "environment", "release")]
    door["parameters"] += [
        {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
        for name, place in texts
    ]
    statuses = {"type": "string", "enum": ["in_progress", "ok", "error"]}
    door["parameters"] += [
        {"name": "status", "in": "query", "required": name == "check_in", "schema": statuses},
        {"name": "duration", "in": "query", "required": False, "schema": {"type": "number"}},
    ]
    if name == "check_in":
        del door["requestBody"]
    else:
        door["requestBody"]["required"] = False
    return door


def tools() -> dict[str, dict[str, Any]]:
    """Return the path item of MCP."""
    schema = {"type": "object", "properties": {"jsonrpc": {"type": "string"}}}
    answers = {200: "The answer of JSON-RPC; a tool that failed says so within.", **_REFUSALS}
    return {
        MCP: {
            "post": {
                "operationId": "mcp",
                "summary": "Carry out a message of the Model Context Protocol",
                "tags": ["mcp"],
                "description": "Tools for language models. Scope of the token: `mcp`; for tools "
                "that change something `mcp:write`, too.",
                "security": [{"token": []}],
                "parameters": [],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": schema}},
                },
                "responses": {
                    "202": {"description": "A notification, which has no answer."},
                    **{
                        str(status): {
                            "description": text,
                            "content": {"application/json": {"schema": schema}},
                        }
                        for status, text in answers.items()
                    },
                },
            }
        }
    }


def _door(name: str, summary: str, media: str) -> dict[str, Any]:
    schema = {"type": "string" if media == _BYTES else "object"}
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["ingest"],
        "description": _KEY,
        "parameters": [
            {
                "name": "project_id",
                "in": "path",
                "required": True,
                "schema": {"type": "integer"},
            }
        ],
        "requestBody": {"required": True, "content": {media: {"schema": schema}}},
        "responses": {str(status): _answer(status, text) for status, text in _ANSWERS.items()},
    }


def _answer(status: int, description: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": _MEMBERS.get(status, _MEMBERS[0])}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
