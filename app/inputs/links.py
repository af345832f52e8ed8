"""Addresses that people enter and pages link to: https alone, without a user or a password."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

MAX_LINK = 1000
MAX_PATTERN = 500

_HTTPS = r"^https://[A-Za-z0-9.:\[\]-]+"

Link = Annotated[
    str,
    Field(
        max_length=MAX_LINK,
        pattern=rf"{_HTTPS}(?:[/?#][!-~]*)?$",
        description="An address with https.",
    ),
]
SourcePattern = Annotated[
    str,
    Field(
        max_length=MAX_PATTERN,
        pattern=rf"{_HTTPS}/[!-~]*\{{file\}}[!-~]*$",
        description="The address of a file of its repository, with {file}, and {line} and {release}"
        " where they belong.",
    ),
]
