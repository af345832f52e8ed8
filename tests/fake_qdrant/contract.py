"""The requests and answers of Qdrant's REST interface, with the client's in-memory engine.

Bodies are parsed by ``qdrant_client.http.models``, which is made from Qdrant's OpenAPI document. A
field that does not exist there is refused here, as a server refuses it. Code here also refuses what
the in-memory engine accepts and a server does not, with the messages of a server.

Source: https://github.com/qdrant/qdrant, docs/redoc/master/openapi.json, 2026-11-23.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from qdrant_client import QdrantClient
from qdrant_client.http import models

VERSION = "1.20.0"
T = TypeVar("T")
_POINTS: TypeAdapter[Any] = TypeAdapter(models.PointInsertOperations)
_SELECTOR: TypeAdapter[Any] = TypeAdapter(models.PointsSelector)


class Refusal(Exception):
    """An answer other than 200, with the message of a server."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Contract:
    """Collections and their points, behind one lock: the in-memory engine is not thread-safe.

    ``GET /`` answers ``version``. ``refuses_unindexed`` is the check of strict mode, which Qdrant
    Cloud enables: a filter on a field without a payload index is refused.
    """

    def __init__(self) -> None:
        self.version = VERSION
        self.refuses_unindexed = True
        self.created: dict[str, models.CreateCollection] = {}
        self.indexes: dict[str, dict[str, dict[str, Any]]] = {}
        self._engine = QdrantClient(":memory:")
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Any:
        """Return the ``result`` of a request.

        :raise Refusal: a server would refuse the request.
        """
        for known, pattern, handle in _ROUTES:
            match = re.fullmatch(pattern, path)
            if known == method and match:
                with self._lock:
                    return handle(self, *match.groups(), *([body] if _has_body(method) else []))
        raise Refusal(404, "")

    def points(self, collection: str) -> dict[str, dict[str, Any]]:
        """Return the payloads of a collection's points by their ids."""
        with self._lock:
            found, _ = self._engine.scroll(collection, limit=100_000, with_payload=True)
        return {str(point.id): point.payload or {} for point in found}

    def wipe(self) -> None:
        """Delete everything, like a server whose volume was removed."""
        with self._lock:
            for name in self.created:
                self._engine.delete_collection(name)
            self.created.clear()
            self.indexes.clear()

    # ---- collections ------------------------------------------------------------------------

    def _exists(self, name: str) -> Any:
        return {"exists": name in self.created}

    def _list(self) -> Any:
        return {"collections": [{"name": name} for name in self.created]}

    def _create(self, name: str, body: bytes) -> Any:
        wanted = _parse(models.CreateCollection, body)
        if name in self.created:
            raise Refusal(409, f"Wrong input: Collection `{name}` already exists!")
        if len(name) > 255 or not isinstance(wanted.vectors, models.VectorParams):
            raise Refusal(422, "Validation error in JSON body")
        self._engine.create_collection(name, vectors_config=wanted.vectors)
        self.created[name] = wanted
        self.indexes[name] = {}
        return True

    def _drop(self, name: str) -> Any:
        known = self.created.pop(name, None)
        self.indexes.pop(name, None)
        if known:
            self._engine.delete_collection(name)
        return known is not None

    def _describe(self, name: str) -> Any:
        wanted, count = self._of(name), self._engine.count(name).count
        schema = {
            field: {"data_type": params["type"], "params": params, "points": count}
            for field, params in self.indexes[name].items()
        }
        return {
            "status": "green",
            "optimizer_status": "ok",
            "points_count": count,
            "indexed_vectors_count": 0,
            "segments_count": 1,
            "config": {
                "params": _plain(wanted),
                "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000},
                "optimizer_config": {
                    "deleted_threshold": 0.2,
                    "vacuum_min_vector_number": 1000,
                    "default_segment_number": 0,
                    "flush_interval_sec": 5,
                },
                "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
            },
            "payload_schema": schema,
        }

    def _index(self, name: str, body: bytes) -> Any:
        self._of(name)
        wanted = _parse(models.CreateFieldIndex, body)
        params = wanted.field_schema
        described = _plain(params) if isinstance(params, BaseModel) else {"type": str(params)}
        self.indexes[name][wanted.field_name] = described
        return _done()

    # ---- points -----------------------------------------------------------------------------

    def _upsert(self, name: str, body: bytes) -> Any:
        size = self._of(name).vectors.size  # type: ignore[union-attr]
        wanted = _parse_by(_POINTS, body)
        if not isinstance(wanted, models.PointsList):
            raise Refusal(422, "only lists of points are understood here")
        for point in wanted.points:
            _check_id(point.id)
            if not isinstance(point.vector, list) or len(point.vector) != size:
                raise Refusal(400, f"Wrong input: Vector dimension error: expected dim: {size}")
        self._engine.upsert(name, wanted.points)
        return _done()

    def _query(self, name: str, body: bytes) -> Any:
        wanted = _parse(models.QueryRequest, body)
        size = self._of(name).vectors.size  # type: ignore[union-attr]
        self._check_filter(name, wanted.filter)
        nearest = wanted.query.nearest if isinstance(wanted.query, models.NearestQuery) else None
        if not isinstance(nearest, list) or len(nearest) != size:
            raise Refusal(400, f"Wrong input: Vector dimension error: expected dim: {size}")
        found = self._engine.query_points(
            name,
            query=nearest,
            query_filter=wanted.filter,
            limit=10 if wanted.limit is None else wanted.limit,
            score_threshold=wanted.score_threshold,
            with_payload=bool(wanted.with_payload),
        )
        return {"points": [_plain(point) for point in found.points]}

    def _count(self, name: str, body: bytes) -> Any:
        wanted = _parse(models.CountRequest, body)
        self._of(name)
        self._check_filter(name, wanted.filter)
        return {"count": self._engine.count(name, count_filter=wanted.filter).count}

    def _scroll(self, name: str, body: bytes) -> Any:
        wanted = _parse(models.ScrollRequest, body)
        self._of(name)
        self._check_filter(name, wanted.filter)
        points, following = self._engine.scroll(
            name,
            scroll_filter=wanted.filter,
            limit=wanted.limit or 10,
            offset=wanted.offset,
            with_payload=wanted.with_payload is not False,
            with_vectors=bool(wanted.with_vector),
        )
        return {"points": [_plain(point) for point in points], "next_page_offset": following}

    def _retrieve(self, name: str, body: bytes) -> Any:
        wanted = _parse(models.PointRequest, body)
        self._of(name)
        found = self._engine.retrieve(name, wanted.ids, with_vectors=bool(wanted.with_vector))
        return [_plain(point) for point in found]

    def _delete(self, name: str, body: bytes) -> Any:
        wanted = _parse_by(_SELECTOR, body)
        self._of(name)
        if isinstance(wanted, models.PointIdsList):
            for point in wanted.points:
                _check_id(point)
            selector: Any = models.PointIdsList(points=wanted.points)
        else:
            self._check_filter(name, wanted.filter)
            selector = models.FilterSelector(filter=wanted.filter)
        self._engine.delete(name, points_selector=selector)
        return _done()

    def _of(self, name: str) -> models.CreateCollection:
        if name not in self.created:
            raise Refusal(404, f"Not found: Collection `{name}` doesn't exist!")
        return self.created[name]

    def _check_filter(self, name: str, wanted: models.Filter | None) -> None:
        if wanted is None or not self.refuses_unindexed:
            return
        for key in _keys(_plain(wanted)):
            if key not in self.indexes[name]:
                raise Refusal(400, f'Bad request: Index required but not found for "{key}"')


_ROUTES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", "/collections", Contract._list),
    ("GET", "/collections/([^/]+)/exists", Contract._exists),
    ("GET", "/collections/([^/]+)", Contract._describe),
    ("PUT", "/collections/([^/]+)", Contract._create),
    ("DELETE", "/collections/([^/]+)", Contract._drop),
    ("PUT", "/collections/([^/]+)/index", Contract._index),
    ("PUT", "/collections/([^/]+)/points", Contract._upsert),
    ("POST", "/collections/([^/]+)/points", Contract._retrieve),
    ("POST", "/collections/([^/]+)/points/query", Contract._query),
    ("POST", "/collections/([^/]+)/points/count", Contract._count),
    ("POST", "/collections/([^/]+)/points/scroll", Contract._scroll),
    ("POST", "/collections/([^/]+)/points/delete", Contract._delete),
)


def _has_body(method: str) -> bool:
    return method in ("PUT", "POST")


def _parse(model: type[Any], body: bytes) -> Any:
    return _parse_by(TypeAdapter(model), body)


def _parse_by(adapter: TypeAdapter[Any], body: bytes) -> Any:
    # A server accepts neither NaN nor a lone surrogate as JSON.
    try:
        json.loads(body.decode(), parse_constant=_refuse_constant)
        return adapter.validate_json(body)
    except ValidationError as error:
        raise Refusal(400, f"Format error in JSON body: {error.errors()[0]['msg']}") from None
    except ValueError as error:
        raise Refusal(400, f"Format error in JSON body: {error}") from None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _check_id(one: Any) -> None:
    try:
        valid = 0 <= one < 2**64 if isinstance(one, int) else bool(uuid.UUID(str(one)))
    except ValueError:
        valid = False
    if not valid:
        raise Refusal(400, f"Format error in JSON body: value {one} is not a valid point ID")


def _keys(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("key"), str):
            yield node["key"]
        for value in node.values():
            yield from _keys(value)
    elif isinstance(node, list):
        for value in node:
            yield from _keys(value)


def _plain(model: BaseModel) -> dict[str, Any]:
    plain: dict[str, Any] = model.model_dump(mode="json", exclude_none=True)
    return plain


def _done() -> dict[str, Any]:
    return {"operation_id": 1, "status": "completed"}
