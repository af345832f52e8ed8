"""What a person may set of a channel, checked the same way for the API and the pages."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from app.alerts.channels.kind import ChannelKind
from app.alerts.errors import AlertError, printable, validated
from app.alerts.targets import MAX_URL, Targets

MAX_NAME = 100
MIN_SECRET, MAX_SECRET = 16, 200

ChannelName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME),
    AfterValidator(printable),
]
Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_URL),
    Field(
        description="Of every kind but mail; it leads to a public address unless "
        "ALERTS_ALLOW_PRIVATE_TARGETS is on. Never shown again."
    ),
]
To = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=5000),
    Field(description="Mail addresses, separated by commas."),
]
Secret = Annotated[
    str,
    StringConstraints(min_length=MIN_SECRET, max_length=MAX_SECRET),
    Field(description="Signs what a webhook is sent; one is made if none is given."),
]


class Check(NamedTuple):
    """What a channel is checked against."""

    kind: ChannelKind
    targets: Targets


class ChannelInput(BaseModel):
    """What a channel is to be; with a :class:`Check` as context it has to suit its kind."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: ChannelName = ""
    url: Url | None = None
    to: To | None = None
    secret: Secret | None = None
    enabled: bool = True

    @field_validator("url", "to")
    @classmethod
    def _is_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        check: Check | None = info.context
        if check is None or value is None:
            return value
        if info.field_name != check.kind.address_field:
            raise ValueError(f"a channel of kind {check.kind.name} has none")
        return check.kind.checked_address(value, check.targets)

    @field_validator("secret")
    @classmethod
    def _signs(cls, value: str | None, info: ValidationInfo) -> str | None:
        check: Check | None = info.context
        if check is None or value is None:
            return value
        if not check.kind.is_signed:
            raise ValueError(f"a channel of kind {check.kind.name} signs nothing")
        if not value.isascii():
            raise ValueError("ASCII characters are expected")
        return value


def new_values(kind: ChannelKind, given: Mapping[str, Any], targets: Targets) -> dict[str, Any]:
    """Return the columns of a new channel; asks the network for the address of a URL's host.

    :param given: fields of :class:`ChannelInput`. Without a secret, one is made where it is needed.
    :raise AlertError: it cannot be kept.
    """
    if kind.address_field not in given:
        raise AlertError({kind.address_field: "an address is expected"})
    secret = secrets.token_urlsafe(32) if kind.is_signed else None
    columns = {"kind": kind.name, "secret": secret, "enabled": True}
    return columns | changed_values(kind, given, targets)


def changed_values(kind: ChannelKind, given: Mapping[str, Any], targets: Targets) -> dict[str, Any]:
    """Return the columns that change, for the fields of :class:`ChannelInput` that are given.

    :raise AlertError: some of them cannot be kept.
    """
    values = validated(ChannelInput, given, Check(kind, targets))
    if kind.address_field in values:
        values["address"] = values.pop(kind.address_field)
    return values
