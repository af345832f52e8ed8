"""Points and queries for the tests of indexes."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np

from app.memory.scope import Scope
from app.memory.vectors.index import Point, Query, Space, Vector

SPACE = Space("a model", 8)
NOW = 1_800_000_000


def vector(*weights: float, dims: int = SPACE.dims) -> Vector:
    """Return a vector of unit length that begins with these numbers."""
    values = np.zeros(dims, np.float32)
    values[: len(weights)] = weights
    return values / np.linalg.norm(values)


def point(
    name: str, user_id: str = "ada", weights: tuple[float, ...] = (1.0,), **more: Any
) -> Point:
    """Return a point whose id is made from a name."""
    values = {"kind": None, "tags": (), "created_at": NOW - 100, "expires_at": None} | more
    return Point(id=id_of(name), user_id=user_id, vector=vector(*weights), **values)


def id_of(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def query(user_id: str = "ada", weights: tuple[float, ...] = (1.0,), **more: Any) -> Query:
    scope = Scope(user_id, more.pop("agent_id", None), more.pop("run_id", None))
    values = {"limit": 10, "now": NOW} | more
    return Query(vector=vector(*weights), scope=scope, **values)
