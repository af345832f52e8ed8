"""The common part of the insight routes: durations in their answers."""

from __future__ import annotations

from typing import Any


def milliseconds(percentiles: Any) -> dict[str, float | None]:
    """Return the percentiles as fields in milliseconds, rounded to microseconds."""
    fields = percentiles._asdict()
    del fields["measured"]
    return {name: None if ms is None else round(ms, 3) for name, ms in fields.items()}
