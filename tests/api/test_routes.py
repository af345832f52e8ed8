"""What a view says of itself is what its route takes, answers and documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, Response
from flask.testing import FlaskClient

from app.api import routes
from app.api.requests import EmptyBody, Query
from app.api.routes import Operation, Routes
from app.api.schemas import ApiModel
from app.inputs import Body
from app.web import access


class Shelf(ApiModel):
    """A shelf."""

    id: int
    name: str


class NewShelf(Body):
    """A shelf to be made."""

    name: str


class ShelfQuery(Query):
    """Which shelf."""

    floor: int = 1


route = Routes("shelves")


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FlaskClient]:
    """Return a client of an application that has one route."""
    blueprint = Blueprint("shelves", __name__)
    monkeypatch.setattr(routes, "bp", blueprint)

    def serve(view: Callable[..., Any], address: str, rule: access.Rule, **more: Any) -> Any:
        route(address, rule, **more)(view)
        app = Flask(__name__)
        app.register_blueprint(blueprint)
        return app.test_client()

    return serve


def operation_of(client: FlaskClient) -> Operation:
    """Return what is documented of the client's route."""
    views = client.application.view_functions
    (name,) = views.keys() - {"static"}
    return views[name].operation  # type: ignore[attr-defined]


def with_body(body: NewShelf) -> Shelf:
    """Make a shelf."""
    return Shelf(id=1, name=body.name)


def with_query(query: ShelfQuery) -> Shelf:
    """A shelf."""
    return Shelf(id=1, name=str(query.floor))


def with_path(shelf_id: int) -> Shelf:
    """A shelf."""
    return Shelf(id=shelf_id, name="")


def plain() -> Shelf:
    """A shelf."""
    return Shelf(id=1, name="")


@pytest.mark.parametrize(
    ("view", "path", "rule", "errors"),
    [
        (plain, "/shelves", access.anyone, set()),
        (plain, "/shelves", access.shows, {400, 401, 403}),
        (plain, "/shelves", access.reads, {400, 401, 403, 503}),
        (plain, "/shelves", access.diagnoses, {400, 401, 403, 404}),
        (with_path, "/shelves/<int:shelf_id>", access.anyone, {404}),
        (with_query, "/shelves", access.anyone, {422}),
        (with_body, "/shelves", access.anyone, {413, 415, 422}),
        (with_body, "/shelves", access.writes, {400, 401, 403, 413, 415, 422, 503}),
    ],
)
def test_errors_follow_from_signature_path_and_rule(
    add: Callable[..., FlaskClient],
    view: Callable[..., Any],
    path: str,
    rule: access.Rule,
    errors: set[int],
) -> None:
    assert operation_of(add(view, f"POST {path}", rule)).errors == errors


def test_docstring_is_the_summary_the_description_and_more_errors(
    add: Callable[..., FlaskClient],
) -> None:
    def replace(body: NewShelf) -> Shelf:
        """Replace a shelf,
        with its books.

        Books that do not fit are kept
        elsewhere.

        :raise 404: there is none. :raise 409: it is locked.
        :raise OSError: never.
        """
        return Shelf(id=1, name=body.name)

    operation = operation_of(add(replace, "PUT /shelves", access.anyone))
    assert operation.summary == "Replace a shelf, with its books"
    assert operation.description == "Books that do not fit are kept elsewhere."
    assert operation.errors == {404, 409, 413, 415, 422}
    assert (operation.tag, operation.body, operation.query) == ("shelves", NewShelf, None)


def test_model_is_answered_as_json_with_the_status_of_the_route(
    add: Callable[..., FlaskClient],
) -> None:
    client = add(with_body, "POST /shelves", access.anyone, status=201)
    answer = client.post("/shelves", json={"name": "Poetry"})
    assert (answer.status_code, answer.json) == (201, {"id": 1, "name": "Poetry"})
    assert operation_of(client).answers == {201: Shelf}


def test_another_status_comes_with_the_model(add: Callable[..., FlaskClient]) -> None:
    def find() -> tuple[Shelf, int]:
        """A shelf."""
        return Shelf(id=1, name=""), 503

    client = add(find, "GET /shelves", access.anyone, also=503)
    assert client.get("/shelves").status_code == 503
    assert operation_of(client).answers == {200: Shelf, 503: Shelf}


def test_view_that_returns_nothing_answers_204(add: Callable[..., FlaskClient]) -> None:
    def delete(body: EmptyBody) -> None:
        """Delete all."""

    client = add(delete, "DELETE /shelves", access.anyone)
    assert client.delete("/shelves").status_code == 204
    assert operation_of(client).answers == {204: None}


@pytest.mark.parametrize(
    ("more", "media"), [({}, "application/octet-stream"), ({"media": "text/csv"}, "text/csv")]
)
def test_response_of_the_view_is_the_answer(
    add: Callable[..., FlaskClient], more: dict[str, str], media: str
) -> None:
    def download() -> Response:
        """All shelves as a file."""
        return Response("1,Poetry", content_type=media)

    client = add(download, "GET /shelves", access.anyone, **more)
    assert client.get("/shelves").text == "1,Poetry"
    assert operation_of(client).answers == {200: media}


def test_model_takes_its_fields_from_an_object_and_from_what_else_is_given() -> None:
    shelf = Shelf.of(Shelf(id=1, name="Poetry"), name="Prose")
    assert (shelf.id, shelf.name) == (1, "Prose")
