"""Filters of lists: one class for each noun says what its list can be narrowed to.

The API reads a query string with it and shows it in the OpenAPI document, a page reads its address
with it and draws its filter bar from it, and the queries make conditions of it::

    class EventFilter(Filter):
        level: Annotated[Level | None, Control("Level")] = None
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

ProjectId = Annotated[int, Field(ge=1, lt=2**31)]
# Beyond 64 bits no database has a row.
RowNumber = Annotated[int, Field(ge=1, lt=2**63)]


@dataclass(frozen=True)
class Control:
    """How a page asks for a field; ``choices`` and what follows are read from the field's type.

    :param label: what stands beside it.
    :param name: of the parameter in the page's address, where it is not the field's name.
    :param placeholder: an example of what is expected.
    """

    label: str
    name: str = ""
    placeholder: str = ""
    field: str = ""
    default: str = ""
    choices: tuple[str, ...] = ()
    max_length: int = 40
    is_moment: bool = False


class Filter(BaseModel):
    """What a list is narrowed to; a field that is ``None`` leaves everything.

    A field without a :class:`Control` is asked for by the API alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read_leniently(cls, values: Mapping[str, Any]) -> tuple[Self, set[str]]:
        """Return the filter without the fields whose values are wrong, and the names of those."""
        try:
            return cls.model_validate(values), set()
        except ValidationError as error:
            wrong = {str(detail["loc"][0]) for detail in error.errors()}
        right = {name: value for name, value in values.items() if name not in wrong}
        return cls.model_validate(right), wrong


@cache
def controls_of(filter: type[Filter]) -> dict[str, Control]:
    """Return how a page asks for the fields of a filter, by the name of the parameter."""
    schemas = filter.model_json_schema()["properties"]
    found = [_control(name, field, schemas[name]) for name, field in filter.model_fields.items()]
    return {control.name: control for control in found if control}


def _control(name: str, field: FieldInfo, schema: dict[str, Any]) -> Control | None:
    control = next((each for each in field.metadata if isinstance(each, Control)), None)
    # A field that may be None is described as the first of two types.
    typed = schema.get("anyOf", [schema])[0]
    return control and replace(
        control,
        name=control.name or name,
        field=name,
        default=str(field.default or ""),
        choices=tuple(typed.get("enum", ())),
        max_length=typed.get("maxLength", control.max_length),
        is_moment=typed.get("format") == "date-time",
    )
