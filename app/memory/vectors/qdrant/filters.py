"""Filters: which points a call may see. All filters are created here, and each names its user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.memory.scope import Scope
from app.memory.vectors.index import Point, Query

if TYPE_CHECKING:
    from qdrant_client import models

# The expiry of points that never expire. It is the largest integer that a range of floats can
# distinguish from the next one.
NEVER = 2**53 - 1
# The most ids that a filter names, 40 kB of JSON. If there are more, the index asks for more and
# more matches, until enough of them are among these.
MAX_IDS = 1000


def payload_of(point: Point) -> dict[str, Any]:
    """Return the payload of a point: the fields that filters use, and no text."""
    return {
        "user_id": point.user_id,
        "agent_id": point.agent_id,
        "run_id": point.run_id,
        "kind": point.kind,
        "tags": list(point.tags),
        "expires_at": NEVER if point.expires_at is None else min(point.expires_at, NEVER),
    }


def of_scope(scope: Scope) -> models.Filter:
    """Return the filter for all points of a scope."""
    return _all_of(scope)


def of_query(query: Query) -> models.Filter:
    """Return the filter for the points that a query may find."""
    from qdrant_client import models

    more = [
        models.FieldCondition(key="expires_at", range=models.Range(gt=min(query.now, NEVER - 1)))
    ]
    if query.kind is not None:
        match = models.MatchValue(value=query.kind)
        more.append(models.FieldCondition(key="kind", match=match))
    if query.tags:
        any_of = models.MatchAny(any=list(query.tags))
        more.append(models.FieldCondition(key="tags", match=any_of))
    found = _all_of(query.scope, *more)
    if query.only is not None and len(query.only) <= MAX_IDS:
        must = found.must if isinstance(found.must, list) else []
        must.append(models.HasIdCondition(has_id=sorted(query.only)))
    return found


def _all_of(scope: Scope, *more: models.FieldCondition) -> models.Filter:
    from qdrant_client import models

    own = [
        models.FieldCondition(key=name, match=models.MatchValue(value=value))
        for name, value in scope._asdict().items()
        if value is not None
    ]
    return models.Filter(must=[*own, *more])
