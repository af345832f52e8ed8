"""The fields of a rule that a person may set. The API and the pages share these checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from sqlalchemy import Connection, select

from app.alerts.errors import AlertError, printable, validated
from app.alerts.rules.kind import KINDS, RuleKind
from app.alerts.tables import alert_channels
from app.issues.rules import MAX_PATTERN
from app.protocol.event import LEVELS, clean_text

MAX_NAME = 200
MAX_MINUTES = 1440
MAX_COOLDOWN = 10_080
MAX_MINIMUM = 10**9

Pattern = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=MAX_PATTERN),
    AfterValidator(clean_text),
]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=MAX_NAME),
    AfterValidator(printable),
    Field(description="Empty: called as its kind is."),
]


def _describe_units(schema: dict[str, Any]) -> None:
    # All kinds are registered when the OpenAPI document is made. Now some may be missing.
    units = ", ".join(f"{kind.name} {kind.unit}" for kind in KINDS.values() if kind.unit)
    schema["description"] = f"In the unit of its kind: {units}."


Threshold = Annotated[float, Field(json_schema_extra=_describe_units)]
Minimum = Annotated[
    int,
    Field(ge=1, le=MAX_MINIMUM, description="Of events, requests or sessions."),
]
Window = Annotated[int, Field(ge=1, le=MAX_MINUTES)]
Cooldown = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_COOLDOWN,
        description="For so long, and at least its window, it says nothing more.",
    ),
]
ChannelIds = Annotated[
    list[Annotated[int, Field(ge=1, lt=2**31)]],
    Field(max_length=50, description="Null: every channel that is on."),
]


class AlertFilters(BaseModel):
    """The filters of a rule: level (at least), environment, release, type and message (globs)."""

    model_config = ConfigDict(defer_build=True, strict=True, extra="forbid")

    level: Pattern | None = None
    environment: Pattern | None = None
    release: Pattern | None = None
    type: Pattern | None = None
    message: Pattern | None = None

    @field_validator("*")
    @classmethod
    def _suits_kind(cls, value: str | None, info: ValidationInfo) -> str | None:
        kind: RuleKind | None = info.context
        if kind is None or not value:
            return value
        if info.field_name not in kind.filters:
            raise ValueError("this kind cannot be narrowed so")
        if info.field_name == "level" and value not in LEVELS:
            raise ValueError(f"one of {', '.join(LEVELS)} is expected")
        return value


class AlertRuleInput(BaseModel):
    """The fields of a rule; with its kind as context they are checked for this kind."""

    model_config = ConfigDict(defer_build=True, strict=True, extra="forbid")

    name: Name | None = None
    enabled: bool | None = None
    threshold: Threshold | None = None
    minimum: Minimum | None = None
    window_minutes: Window | None = None
    cooldown_minutes: Cooldown | None = None
    filters: AlertFilters | None = None
    channel_ids: ChannelIds | None = None

    @field_validator("threshold", "minimum", "window_minutes", "cooldown_minutes")
    @classmethod
    def _suits_kind(cls, value: float | None, info: ValidationInfo) -> float | None:
        kind: RuleKind | None = info.context
        if kind is None:
            return value
        if getattr(kind, info.field_name or "") is None:
            if value is not None:
                raise ValueError("this kind has none")
        elif value is None:
            raise ValueError("a number is expected")
        return value

    @field_validator("threshold")
    @classmethod
    def _is_in_range(cls, value: float | None, info: ValidationInfo) -> float | None:
        if info.context is not None and info.context.threshold and value is not None:
            *_, highest, lowest = info.context.threshold
            if not lowest <= value <= highest:
                raise ValueError(f"a number from {lowest:g} to {highest:,.10g} is expected")
        return value


def checked(conn: Connection, kind: RuleKind, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns for the given fields.

    :raise AlertError: a field is not valid.
    """
    values = validated(AlertRuleInput, given, kind)
    if "name" in values:
        values["name"] = values["name"] or ""
    if "filters" in values:
        filters = values["filters"] or {}
        values["filters"] = {name: value for name, value in filters.items() if value}
    if values.get("channel_ids") is not None:
        values["channel_ids"] = _known_channels(conn, values["channel_ids"])
    return values


def _known_channels(conn: Connection, ids: Iterable[int]) -> list[int]:
    wanted = sorted(set(ids))
    known = set(conn.scalars(select(alert_channels.c.id)))
    if not known.issuperset(wanted):
        raise AlertError({"channel_ids": "there is no such channel"})
    return wanted
