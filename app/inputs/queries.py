"""Queries: the input of a request that reads something, and the page of a list it asks for."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.inputs.filters import RowNumber

Limit = Annotated[int, Field(ge=1, le=1000, description="How many, at most 1000.")]
Cursor = Annotated[RowNumber, Field(description="`next` of the page before.")]


class Query(BaseModel):
    """A query string; each parameter is converted to the type of its field."""

    model_config = ConfigDict(defer_build=True, extra="forbid")


class Paged(Query):
    """The page of a list that is sorted by row number."""

    limit: Limit = 50
    cursor: Cursor | None = None
