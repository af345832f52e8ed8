"""A form of a page has the fields, lengths and bounds of the model that checks its input."""

from __future__ import annotations

from typing import Annotated

import pytest
from flask import Flask
from pydantic import Field
from werkzeug.datastructures import MultiDict

from app.admin.model_form import form_of
from app.inputs import Control
from app.project_service.inputs import ProjectChange

Motto = Annotated[str, Field(max_length=5)]
Size = Annotated[int, Field(ge=1, le=9)]


class Larger(ProjectChange):
    """A project with two fields more."""

    motto: Annotated[Motto | None, Control("Motto", placeholder="Per aspera")] = None
    size: Annotated[Size, Control("Size", wrong="From 1 to 9.")] = 1


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.config.update(SECRET_KEY="for tests", WTF_CSRF_ENABLED=False)
    return app


def test_new_field_of_a_model_is_drawn_and_checked(app: Flask) -> None:
    with app.test_request_context():
        form = form_of(Larger, "name", "motto", "size")(formdata=None)
        assert form.motto.label.text == "Motto"
        assert 'maxlength="5"' in form.motto() and 'placeholder="Per aspera"' in form.motto()
        assert 'max="9"' in form.size() and 'min="1"' in form.size()
        assert form.name.flags.required and not form.motto.flags.required


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"name": "Shop", "size": "9"}, {}),
        ({"name": "Shop", "size": "10"}, {"size": ["From 1 to 9."]}),
        ({"size": "1"}, {"name": ["A project has a name."]}),
        ({"name": "Shop", "motto": "longer", "size": "1"}, {"motto": [...]}),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    app: Flask, given: dict[str, str], wrong: dict[str, list[str]]
) -> None:
    with app.test_request_context():
        form = form_of(Larger, "name", "motto", "size")(formdata=MultiDict(given))
        assert form.validate() is (not wrong)
        assert form.errors.keys() == wrong.keys()
        for name, messages in wrong.items():
            assert messages == [...] or form[name].errors == messages


def test_refusal_is_shown_at_its_field_or_at_the_first(app: Flask) -> None:
    with app.test_request_context():
        form = form_of(Larger, "name", "motto")(formdata=None)
        form.blame("motto", "Not this one.")
        form.blame("id", "Taken.")
        assert (form.motto.errors, form.name.errors) == (("Not this one.",), ("Taken.",))
