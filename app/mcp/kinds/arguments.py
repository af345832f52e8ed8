"""Arguments that several tools have."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.inputs import RowNumber
from app.inputs.queries import Query
from app.mcp.answers import Sized

# Fewer than a page of the API has: a model reads every line of an answer.
ListLimit = Annotated[int, Field(ge=1, le=50, description="How many, at most 50.")]
IssueId = Annotated[RowNumber, Field(description="The number of an issue, as lists name it.")]
EventId = Annotated[str, Field(max_length=36, description="32 hexadecimal digits.")]
EnvelopeId = Annotated[RowNumber, Field(description="The number of a delivery.")]


class Arguments(Sized, Query):
    """The arguments of a tool that reads."""
