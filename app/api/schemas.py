"""Models that several routes answer with, and what they are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Level = Literal["fatal", "error", "warning", "info", "debug"]
Check = Literal["pass", "warn", "fail"]
Next = Annotated[
    str | None,
    Field(
        description="The `cursor` of the next page, null where nothing is left. A page may have"
        " fewer rows than `limit`, even none, and still have one: a filter that no index answers"
        " looks at 20,000 rows at most before it answers."
    ),
]


class ApiModel(BaseModel):
    """What an answer contains; a row or a dataclass may stand for a model in another one."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, source: object, **others: Any) -> Self:
        """Return the model with the fields of a row or a dataclass, and with others."""
        names = [name for name in cls.model_fields if name not in others and hasattr(source, name)]
        return cls(**{name: getattr(source, name) for name in names}, **others)


class FieldError(ApiModel):
    """One wrong field."""

    field: str
    message: str


class Problem(ApiModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] | None = None
    event_id: str | None = None
    links: dict[str, str] | None = None


class SentryState(ApiModel):
    """Whether errors of any project go on to Sentry."""

    enabled: bool


class Health(ApiModel):
    """What the public may know."""

    status: Check
    environment: str
    release: str
    sentry: SentryState
    checks: dict[str, Check]


class Liveness(ApiModel):
    """The process answers."""

    status: Literal["pass"]


class Grouping(ApiModel):
    """Why an event belongs to its issue; of an issue, as it was seen last.

    ``reason`` is null for groupings of before there was one.
    """

    version: str
    key: str
    reason: str | None
