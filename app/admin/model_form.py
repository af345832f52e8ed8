"""Forms of pages, made from the model that checks the same input of the API."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from pydantic import BaseModel
from wtforms import IntegerField, PasswordField, RadioField, SelectChoice, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from app.inputs import Control, controls_of


class ModelForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A form whose errors are at their fields."""

    def values(self) -> dict[str, Any]:
        """Return what was filled in; an empty text is nothing."""
        given = {name: value for name, value in self.data.items() if name != "csrf_token"}
        return {name: None if value == "" else value for name, value in given.items()}

    def blame(self, field: str | None, message: str) -> None:
        """Show what is wrong at its field; at the first one where it has no field of its own."""
        shown = self[field] if field in self else next(iter(self))
        shown.errors = (*shown.errors, message)


def form_of(model: type[BaseModel], *names: str, required: tuple[str, ...] = ()) -> type[ModelForm]:
    """Return a form of some fields of a model, with their labels, lengths and bounds.

    :param required: fields that the model may lack, and this form may not.
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
