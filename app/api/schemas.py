"""Models that several routes answer with, and their base class."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

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
    """The base of all answers; a field may be given as a row or a dataclass instead of a model.

    A model is built when it is used for the first time: a process uses few of them.
    """

    model_config = ConfigDict(defer_build=True, from_attributes=True)

    @classmethod
    def of(cls, source: object, **others: Any) -> Self:
        """Return the model with fields of a row or a dataclass; ``others`` take precedence."""
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
    """Whether any project is forwarded to Sentry."""

    enabled: bool


class Health(ApiModel):
    """The health of the service, as far as it is public."""

    status: Check
    environment: str
    release: str
    sentry: SentryState
    checks: dict[str, Check]


class Liveness(ApiModel):
    """The process answers."""

    status: Literal["pass"]


class Grouping(ApiModel):
    """Why an event belongs to its issue; an issue has the grouping that was seen last.

    ``reason`` is null for groupings that are older than this field.
    """

    version: str
    key: str
    reason: str | None
