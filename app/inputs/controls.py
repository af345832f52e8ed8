"""Controls: how a page asks for a field of a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Control:
    """How a page asks for a field; ``field`` and what follows are read from the model.

    :param label: what stands beside it.
    :param name: of the parameter, where it is not the field's name.
    :param placeholder: an example of what is expected.
    :param help: a sentence below it.
    :param wrong: what is said where a value is missing or out of bounds.
    :param is_secret: whether what is typed is not shown.
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
        """Whether a date and time is expected."""
        return self.type == "date-time"


@cache
def controls_of(model: type[BaseModel]) -> dict[str, Control]:
    """Return how a page asks for the fields of a model, by the name of the parameter."""
    schemas = model.model_json_schema()["properties"]
    found = [_control(name, field, schemas[name]) for name, field in model.model_fields.items()]
    return {control.name: control for control in found if control}


def _control(name: str, field: FieldInfo, schema: dict[str, Any]) -> Control | None:
    control = next((each for each in field.metadata if isinstance(each, Control)), None)
    # A field that may be None is described as the first of two types.
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
