"""Routes of the API; signature, docstring and access rule of a view describe its route.

    route = Routes("rules")

    @route("POST /api/rules", access.writes, status=201)
    def post_rule(body: RuleBody) -> GroupingRule:
        \"""Add a rule; it applies to events that come from now on.

        :raise 409: there are too many rules.
        \"""

A parameter ``body`` is read from the JSON of the request, ``query`` from its query string. The
model that the view returns is the answer. :mod:`.openapi` makes the documentation from the same
declarations: the first paragraph of the docstring is the summary, the other paragraphs are the
description. The errors are those of ``:raise``, and those that follow from the signature, the path
and the access rule.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, get_args, get_type_hints

from flask import Response, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel

from app.api import bp
from app.api.requests import Query, read_body, read_query
from app.inputs import Body
from app.web import access
from app.web.json_body import body_limit

View = TypeVar("View", bound=Callable[..., Any])
# A model, the media type of an answer that is not JSON, or ``None`` for an empty answer.
Answer = type[BaseModel] | str | None

BINARY = "application/octet-stream"

# Access rules of the routes that need the store.
_NEED_THE_STORE = (access.reads, access.writes, access.remembers, access.audits)


@dataclass(frozen=True)
class Operation:
    """The input and the answers of a route, for its documentation.

    :param tag: the section of the OpenAPI document.
    :param answers: by HTTP status.
    :param body: the model of a JSON body, or the media type of a body that the view reads itself.
    :param errors: HTTP statuses that are answered with problem details.
    """

    tag: str
    summary: str
    description: str
    body: type[Body] | str | None
    query: type[Query] | None
    answers: dict[int, Answer]
    errors: set[int]


@dataclass(frozen=True)
class Routes:
    """The decorator of the views of a module.

    :param tag: the section of the OpenAPI document that the views are in.
    """

    tag: str

    def __call__(
        self,
        address: str,
        rule: access.Rule,
        *,
        status: int = 200,
        also: int | None = None,
        media: str | None = None,
        takes: str | None = None,
        max_bytes: int = 0,
    ) -> Callable[[View], View]:
        """Return a decorator that makes a function the view of an address.

        :param address: method and path, such as ``GET /api/rules``.
        :param rule: who may call the route.
        :param status: HTTP status of the answer; a view that returns nothing answers 204.
        :param also: another HTTP status of the answer; such a view returns model and status.
        :param media: media type of an answer that is not JSON; the default is bytes.
        :param takes: media type of a body that is not JSON and that the view reads itself.
        :param max_bytes: the most bytes of such a body, if it may be longer than others.
        """
        method, path = address.split()

        def decorate(view: View) -> View:
            hints = get_type_hints(view)
            body, query = hints.get("body"), hints.get("query")

            @wraps(view)
            def respond(**arguments: Any) -> ResponseReturnValue:
                # Werkzeug would refuse, or cut, what is longer than other bodies may be.
                request.max_content_length = body_limit() + 1
                if query:
                    arguments["query"] = read_query(query)
                if body:
                    arguments["body"] = read_body(body)
                return _response(view(**arguments), status)

            limit = max_bytes or getattr(body, "max_bytes", 0)
            respond.max_bytes = limit  # type: ignore[attr-defined]  # read by body_limit()
            summary, description, raised = _read_docstring(view)
            respond.operation = Operation(  # type: ignore[attr-defined]  # read by .openapi
                self.tag,
                summary,
                description,
                body or takes,
                query,
                answers=_answers(media or hints["return"], status, also),
                errors=raised.union(_errors(rule, "<" in path, body or takes, query)),
            )
            bp.add_url_rule(path, view.__name__, rule(respond), methods=[method])
            return view

        return decorate


def _answers(returned: Any, status: int, also: int | None) -> dict[int, Answer]:
    if returned is type(None):
        return {204: None}
    kinds = (returned, *get_args(returned)) if returned is not Response else (BINARY,)
    answers = [kind for kind in kinds if isinstance(kind, str) or _is_model(kind)]
    return {code: answer for answer in answers for code in (status, also or status)}


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _errors(
    rule: access.Rule,
    has_parameters: bool,
    body: type[Body] | str | None,
    query: type[Query] | None,
) -> Iterator[int]:
    if rule.scope:
        yield from (400, 401, 403)
    if has_parameters or rule is access.diagnoses:
        yield 404
    if body:
        yield from (413, 415)
    if body or query:
        yield 422
    if rule in _NEED_THE_STORE:
        yield 503


def _read_docstring(view: Callable[..., Any]) -> tuple[str, str, set[int]]:
    """Return the summary, the description and the HTTP statuses that the view raises."""
    doc = inspect.getdoc(view) or ""
    raised = {int(status) for status in re.findall(r":raise (\d{3}):", doc)}
    summary, _, description = doc.partition(":raise ")[0].partition("\n\n")
    return " ".join(summary.split()).removesuffix("."), " ".join(description.split()), raised


def _response(answer: Any, status: int) -> ResponseReturnValue:
    if isinstance(answer, tuple):
        answer, status = answer
    if answer is None:
        return Response(status=204)
    if isinstance(answer, BaseModel):
        return Response(answer.model_dump_json(), status, content_type="application/json")
    return answer  # type: ignore[no-any-return]  # a response that the view made
