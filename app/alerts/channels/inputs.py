"""The fields of a channel that a person may set. The API and the pages share these checks."""

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
    """The context for the validation of a channel."""

    kind: ChannelKind
    targets: Targets


class ChannelInput(BaseModel):
    """The fields of a channel; with a :class:`Check` as context they are checked for its kind."""

    model_config = ConfigDict(defer_build=True, strict=True, extra="forbid")

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
    """Return the columns of a new channel. This resolves the host of a URL over the network.

    :param given: fields of :class:`ChannelInput`. If the kind needs a secret and none is given, one
        is generated.
    :raise AlertError: a field is missing or not valid.
    """
    if kind.address_field not in given:
        raise AlertError({kind.address_field: "an address is expected"})
    secret = secrets.token_urlsafe(32) if kind.is_signed else None
    columns = {"kind": kind.name, "secret": secret, "enabled": True}
    return columns | changed_values(kind, given, targets)


def changed_values(kind: ChannelKind, given: Mapping[str, Any], targets: Targets) -> dict[str, Any]:
    """Return the columns to change, for the given fields of :class:`ChannelInput`.

    :raise AlertError: a field is not valid.
    """
    values = validated(ChannelInput, given, Check(kind, targets))
    if kind.address_field in values:
        values["address"] = values.pop(kind.address_field)
    return values
