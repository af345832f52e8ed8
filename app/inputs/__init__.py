"""Inputs: what the API, the pages and the commands are asked, checked by one class for each noun.

filters.py   what a list is narrowed to
bodies.py    what is to be kept or changed
controls.py  how a page asks for a field of either
errors.py    what cannot be done, and the status that says so

The class of a noun is in the noun's package. It has the types, the lengths and the bounds; the API
describes them in the OpenAPI document, and a page draws its form from them.
"""

from app.inputs.bodies import Body, PatchBody, patch_of, unchanged
from app.inputs.controls import Control, controls_of
from app.inputs.errors import Conflict, InputError, Missing
from app.inputs.filters import Filter, ProjectId, RowNumber

__all__ = [
    "Body",
    "Conflict",
    "Control",
    "Filter",
    "InputError",
    "Missing",
    "PatchBody",
    "ProjectId",
    "RowNumber",
    "controls_of",
    "patch_of",
    "unchanged",
]
