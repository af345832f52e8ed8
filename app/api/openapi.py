"""The OpenAPI 3.1 document, made from the declarations of the routes. See :mod:`.reference`."""

from __future__ import annotations

import re
from typing import Any

from flask import current_app, jsonify
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.api import bp, doors
from app.api.routes import Operation
from app.api.schemas import Problem
from app.web import access
from app.web.current import current_config
from config import VERSION

REFERENCE = "#/components/schemas/{model}"
METHODS = ("get", "post", "patch", "put", "delete")
PATH_TYPES = {"string": "string", "int": "integer"}
NULL_CLEARS = (
    "A field that is not named stays as it is. `null` clears a field: its value goes, or becomes "
    "the default. For a field that cannot be cleared, null is refused with 422."
)
PROBLEMS = {
    400: "The body is no JSON, or the Host is not allowed.",
    401: "A token is needed, or the one that was sent does not work.",
    403: "The token lacks the scope.",
    404: "There is no such thing.",
    409: "Its state does not allow it.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A field is wrong; `errors` names it.",
    500: "The server failed; `event_id` names the recorded error.",
    503: "The store does not answer, or its disk is full.",
}


def document() -> dict[str, Any]:
    """Return the OpenAPI document of the current application.

    Source: https://spec.openapis.org/oas/v3.1.1.html, 2026-11-23.
    """
    paths: dict[str, dict[str, Any]] = {}
    models: set[type[BaseModel]] = {Problem}
    for rule in current_app.url_map.iter_rules():
        operation = getattr(current_app.view_functions[rule.endpoint], "operation", None)
        if operation is None:
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in METHODS:
            if method.upper() in (rule.methods or ()):
                paths.setdefault(path, {})[method] = _operation(operation, rule.rule, rule.endpoint)
                if method == "patch":
                    paths[path][method]["description"] += f" {NULL_CLEARS}"
        bodies = (*operation.answers.values(), operation.body)
        models |= {model for model in bodies if model and not isinstance(model, str)}
    paths |= doors.paths() | doors.tools()
    _, schemas = models_json_schema(
        [(model, "serialization") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template=REFERENCE,
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "DevEnviro", "version": VERSION, "description": "Error monitoring."},
        "servers": [{"url": current_config().public_url}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation, rule: str, endpoint: str) -> dict[str, Any]:
    guard = access.rule_of(endpoint)
    result: dict[str, Any] = {
        "operationId": endpoint.rpartition(".")[2],
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_path_parameters(rule), *_query_parameters(operation.query)],
        "responses": {
            **{str(code): _response(model) for code, model in operation.answers.items()},
            **{str(code): _problem(code) for code in sorted(operation.errors)},
        },
    }
    description = [operation.description] if operation.description else []
    if isinstance(operation.body, str):
        content = {operation.body: {"schema": {"type": "string"}}}
        result["requestBody"] = {"required": True, "content": content}
    elif operation.body:
        content = {"application/json": {"schema": _reference(operation.body)}}
        result["requestBody"] = {"required": not operation.body.is_optional, "content": content}
    if guard and guard.scope:
        result["security"] = [{"token": []}, *([{}] if guard.loopback else [])]
        description.append(f"Scope of the token: `{guard.scope}`.")
    return result | ({"description": " ".join(description)} if description else {})


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def _response(model: type[BaseModel] | str | None) -> dict[str, Any]:
    if model is None:
        return {"description": "Done; there is nothing to say."}
    if isinstance(model, str):
        return {"description": "No JSON.", "content": {model: {"schema": {"type": "string"}}}}
    description = (model.__doc__ or model.__name__).splitlines()[0]
    content = {"application/json": {"schema": _reference(model)}}
    return {"description": description, "content": content}


def _problem(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _reference(Problem)}}
    return {"description": PROBLEMS[status], "content": content}


def _path_parameters(rule: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": PATH_TYPES.get(converter or "string", "string")},
        }
        for converter, name in re.findall(r"<(?:(\w+):)?(\w+)>", rule)
    ]


def _query_parameters(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    schema = query.model_json_schema()
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": member.get("description", ""),
            "schema": {k: v for k, v in member.items() if k not in {"title", "description"}},
        }
        for name, member in schema["properties"].items()
    ]


@bp.get("/openapi.json")
@access.shows
def openapi_document() -> ResponseReturnValue:
    """Return the OpenAPI document as JSON."""
    return jsonify(kept_document())


def kept_document() -> dict[str, Any]:
    """Return the document, made once."""
    # Routes never change while the process runs, and making the document takes 0.1 s.
    kept: dict[str, Any] = current_app.extensions.setdefault("openapi", {})
    if not kept:
        kept.update(document())
    return kept
