"""The fields of a project that the API, the pages and the commands can change."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.inputs import Control, PatchBody, unchanged
from app.inputs.links import SourcePattern
from app.projects import MAX_NAME_LENGTH

# Far above what one machine can process, and below the maximum of a 32-bit column.
MAX_EVENTS_PER_MINUTE = 10**9
MAX_RETENTION_DAYS = 36500
MAX_DSN_LENGTH = 2000


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
Quota = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_EVENTS_PER_MINUTE,
        description="0 for no limit, null for DEFAULT_EVENTS_PER_MINUTE.",
    ),
]
Days = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_RETENTION_DAYS,
        description="0 for no limit, null for what RETENTION_DAYS says.",
    ),
]
UpstreamDsn = Annotated[
    str,
    Field(
        max_length=MAX_DSN_LENGTH,
        description="Where its events are sent on to; null to send none. It is never shown again.",
    ),
]


ApiToken = Annotated[
    str,
    Field(
        max_length=500,
        pattern=r"^[!-~]+$",
        description="By which Sentry is asked whether it shows what it accepted; null for none. It"
        " is never shown again, and is removed when the address that it is sent to changes.",
    ),
]
Organization = Annotated[
    str,
    Field(
        max_length=100,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Slug or number of the organization in Sentry; null for that in the DSN.",
    ),
]
ApiUrl = Annotated[
    str,
    Field(
        max_length=MAX_DSN_LENGTH,
        description="Address of Sentry's API without /api/0; null for the host of the DSN.",
    ),
]


class ProjectChange(PatchBody):
    """The fields of a project to change; a field that is not given stays as it is."""

    name: Annotated[Name, Control("Name", wrong="A project has a name.")] = unchanged()
    upstream_dsn: Annotated[
        UpstreamDsn | None,
        Control(
            "DSN of a Sentry project",
            help="Where its events are sent on to. It is never shown again.",
            wrong="A DSN such as https://key@host/1 is expected.",
            is_secret=True,
        ),
    ] = None
    upstream_api_token: Annotated[
        ApiToken | None,
        Control(
            "Token of Sentry's API",
            help="With it, Sentry is asked whether it shows the events that it accepted. It needs"
            " the scope project:read. It is never shown again; give it again with another address.",
            wrong="At most 500 printable characters without spaces are expected.",
            is_secret=True,
        ),
    ] = None
    upstream_org: Annotated[
        Organization | None,
        Control(
            "Organization in Sentry",
            help="Its slug or number. Not needed for a DSN of sentry.io, which has it.",
            wrong="A slug or a number is expected, such as acme.",
        ),
    ] = None
    upstream_api_url: Annotated[
        ApiUrl | None,
        Control(
            "Address of Sentry's API",
            help="Empty for the host of the DSN.",
            placeholder="https://sentry.example.org",
            wrong="An address such as https://sentry.example.org is expected.",
        ),
    ] = None
    events_per_minute: Annotated[
        Quota | None,
        Control(
            "Events a minute",
            help="Beyond it the program is told to wait (429). 0 for no limit, empty for the"
            " default.",
            wrong="A number from 0 is expected.",
        ),
    ] = None
    retention_days: Annotated[
        Days | None, Control("Kept for days", wrong="A number of days from 0 is expected.")
    ] = None
    source_url: Annotated[
        SourcePattern | None,
        Control(
            "Links to its source",
            help="The address of a file of its repository, with {file}, {line} and {release} where"
            " they belong. Calls of its stacks lead there.",
            placeholder="https://git.example.org/shop/blob/{release}/{file}#L{line}",
            wrong="An address with https and {file} is expected.",
        ),
    ] = None
