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
from app.alerts.template import MAX_TEMPLATE
from app.alerts.template_values import example
from app.protocol.event import clean_text

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
    Field(
        description="Signs what a webhook is sent; one is made if none is given. Of `pagerduty` "
        "the integration key, of `ntfy` an access token, of `template` what `{{secret}}` stands "
        "for. Never shown again."
    ),
]
Template = Annotated[
    str,
    StringConstraints(min_length=2, max_length=MAX_TEMPLATE),
    Field(
        description="JSON with placeholders such as `{{title}}`; null for the ready-made one. Not "
        "of `email`, `webhook`, `slack` and `teams`."
    ),
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
    template: Template | None = None
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
        if not check.kind.has_secret:
            raise ValueError(f"a channel of kind {check.kind.name} has no secret")
        if not value.isascii() or not value.isprintable():
            raise ValueError("printable ASCII characters are expected")
        return check.kind.checked_secret(value)

    @field_validator("template")
    @classmethod
    def _is_template(cls, value: str | None, info: ValidationInfo) -> str | None:
        check: Check | None = info.context
        if check is None or value is None:
            return value
        if not check.kind.has_template:
            raise ValueError(f"a channel of kind {check.kind.name} has no template")
        return check.kind.checked_template(clean_text(value))


def new_values(kind: ChannelKind, given: Mapping[str, Any], targets: Targets) -> dict[str, Any]:
    """Return the columns of a new channel. This resolves the host of a URL over the network.

    :param given: fields of :class:`ChannelInput`. If the kind needs a secret and none is given, one
        is generated.
    :raise AlertError: a field is missing or not valid.
    """
    if kind.default_address:
        given = {kind.address_field: kind.default_address, **given}
    missing = {} if kind.address_field in given else {kind.address_field: "an address is expected"}
    if kind.needs_secret and "secret" not in given:
        missing["secret"] = f"the {kind.key_label.lower()} is expected"
    if missing:
        raise AlertError(missing)
    secret = secrets.token_urlsafe(32) if kind.is_signed else None
    columns = {"kind": kind.name, "secret": secret, "enabled": True}
    return columns | changed_values(kind, given, targets)


def checked_preview(kind: ChannelKind, template: str | None) -> str | None:
    """Return the body that a channel of a kind would send for an example, with secrets masked.

    :param template: ``None`` for the ready-made one.
    :return: ``None`` if the kind sends no JSON.
    :raise AlertError: the template cannot be used.
    """
    given = validated(ChannelInput, {"template": template}, Check(kind, Targets()))
    body = kind.preview(given["template"], example())
    return None if body is None else body.decode()


def changed_values(kind: ChannelKind, given: Mapping[str, Any], targets: Targets) -> dict[str, Any]:
    """Return the columns to change, for the given fields of :class:`ChannelInput`.

    :raise AlertError: a field is not valid.
    """
    values = validated(ChannelInput, given, Check(kind, targets))
    if kind.address_field in values:
        values["address"] = values.pop(kind.address_field)
    return values
