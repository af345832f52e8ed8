"""Filters of lists::

    class EventFilter(Filter):
        level: Annotated[Level | None, Control("Level")] = None

The API reads a query string with it and shows it in the OpenAPI document, a page reads its address
with it and draws its filter bar from it, and the queries make conditions of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

ProjectId = Annotated[int, Field(ge=1, lt=2**31)]
# Beyond 64 bits no database has a row.
RowNumber = Annotated[int, Field(ge=1, lt=2**63)]


class Filter(BaseModel):
    """What a list is narrowed to; a field that is ``None`` leaves everything.

    A field without a :class:`.Control` is asked for by the API alone.
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
