"""Forms of the pages, made from the models that check the same input of the API."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from pydantic import BaseModel
from wtforms import IntegerField, PasswordField, RadioField, SelectChoice, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from app.admin.filters import sentence
from app.inputs import Control, controls_of


class ModelForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A form that shows each error at its field."""

    def values(self) -> dict[str, Any]:
        """Return the filled-in values; an empty text becomes ``None``."""
        given = {name: value for name, value in self.data.items() if name != "csrf_token"}
        return {name: None if value == "" else value for name, value in given.items()}

    def blame(self, field: str | None, message: str) -> None:
        """Show an error as a sentence at its field, or at the first field of the form."""
        shown = self[field] if field in self else next(iter(self))
        shown.errors = (*shown.errors, sentence(message))


def form_of(model: type[BaseModel], *names: str, required: tuple[str, ...] = ()) -> type[ModelForm]:
    """Return a form class with some fields of a model, their labels, lengths and bounds.

    :param required: fields that are optional in the model and required in the form.
    """
    controls = controls_of(model)
    fields = {name: _field(controls[name], name in required) for name in names}
    return type(f"{model.__name__}Form", (ModelForm,), fields)


def _field(control: Control, is_required: bool) -> Any:
    may_lack = control.is_optional and not is_required
    checks: list[Any] = [Optional() if may_lack else InputRequired(control.wrong)]
    settings: dict[str, Any] = {"autocomplete": "off"}
    if control.placeholder:
        settings["placeholder"] = control.placeholder
    if control.choices:
        choices = [SelectChoice(choice, choice.capitalize()) for choice in control.choices]
        return RadioField(control.label, checks, choices=choices, default=control.choices[0])
    if control.type == "integer":
        checks.append(NumberRange(control.minimum, control.maximum, control.wrong))
        kind, settings = IntegerField, {"inputmode": "numeric"}
    else:
        checks.append(Length(max=control.max_length))
        kind = PasswordField if control.is_secret else StringField
    return kind(control.label, checks, description=control.help, render_kw=settings)
