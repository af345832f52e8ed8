"""Filters of lists::

    class EventFilter(Filter):
        level: Annotated[Level | None, Control("Level")] = None

The API reads its query string with this class and describes it in the OpenAPI document. A page
reads its URL with it and draws the filter bar from it. The queries make SQL conditions of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

ProjectId = Annotated[int, Field(ge=1, lt=2**31)]
# No database has row numbers above 64 bits.
RowNumber = Annotated[int, Field(ge=1, lt=2**63)]


class Filter(BaseModel):
    """The filter of a list; a field that is ``None`` does not restrict the list.

    Only the API offers a field without a :class:`.Control`.
    """

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True)

    @classmethod
    def read_leniently(cls, values: Mapping[str, Any]) -> tuple[Self, set[str]]:
        """Return the filter without its wrong fields, and the names of the wrong fields."""
        try:
            return cls.model_validate(values), set()
        except ValidationError as error:
            wrong = {str(detail["loc"][0]) for detail in error.errors()}
        right = {name: value for name, value in values.items() if name not in wrong}
        return cls.model_validate(right), wrong
