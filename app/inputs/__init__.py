"""Inputs: classes that check the input of the API, the pages and the commands.

filters.py   filters of lists
period.py    ranges of time: a period, or a start and an end
queries.py   requests that read something, and the pages of lists
bodies.py    bodies of requests that create or change something
time_zones.py  names of time zones
controls.py  the form controls of a page for these fields
errors.py    errors of a request, with their HTTP status

The input class of an issue is in the package of issues, and so on. It has the types, the lengths
and the limits. The API describes them in the OpenAPI document, and a page draws its form from them.
"""

from app.inputs.bodies import Body, PatchBody, patch_of, unchanged
from app.inputs.controls import Control, controls_of
from app.inputs.errors import Conflict, InputError, Missing
from app.inputs.filters import Filter, ProjectId, RowNumber
from app.inputs.period import Range, RangeFilter, period_range

__all__ = [
    "Body",
    "Conflict",
    "Control",
    "Filter",
    "InputError",
    "Missing",
    "PatchBody",
    "ProjectId",
    "Range",
    "RangeFilter",
    "RowNumber",
    "controls_of",
    "patch_of",
    "period_range",
    "unchanged",
]
