"""Controls: how a form on a page shows a field of a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Control:
    """How a form shows a field; ``field`` and the attributes after it are read from the model.

    :param label: the text beside the control.
    :param name: the name of the parameter, if it differs from the name of the field.
    :param placeholder: an example of a value.
    :param help: a sentence below the control.
    :param wrong: the error message for a value that is missing or out of range.
    :param is_secret: whether the browser hides the typed text.
    """

    label: str
    name: str = ""
    placeholder: str = ""
    help: str = ""
    wrong: str | None = None
    is_secret: bool = False
    field: str = ""
    type: str = ""
    default: str = ""
    choices: tuple[str, ...] = ()
    max_length: int = 40
    minimum: int | None = None
    maximum: int | None = None
    is_optional: bool = False

    @property
    def is_moment(self) -> bool:
        """Whether the value is a date and time."""
        return self.type == "date-time"


@cache
def controls_of(model: type[BaseModel]) -> dict[str, Control]:
    """Return the controls of a model by the name of their parameter."""
    schemas = model.model_json_schema()["properties"]
    found = [_control(name, field, schemas[name]) for name, field in model.model_fields.items()]
    return {control.name: control for control in found if control}


def _control(name: str, field: FieldInfo, schema: dict[str, Any]) -> Control | None:
    control = next((each for each in field.metadata if isinstance(each, Control)), None)
    # The schema describes an optional field as two types; the first is the type of its value.
    typed = schema.get("anyOf", [schema])[0]
    return control and replace(
        control,
        name=control.name or name,
        field=name,
        type=typed.get("format", typed.get("type", "")),
        default=str(schema.get("default") or ""),
        choices=tuple(typed.get("enum", ())),
        max_length=typed.get("maxLength", control.max_length),
        minimum=typed.get("minimum"),
        maximum=typed.get("maximum"),
        is_optional="anyOf" in schema or schema.get("default") == "",
    )
