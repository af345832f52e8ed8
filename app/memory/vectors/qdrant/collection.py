"""Name, create and check collections.

A collection has the vectors of one embedder. Another embedder gets another collection, and the old
one is dropped when the new one is created. All users share a collection: ``user_id`` has a tenant
index.

Source: https://qdrant.tech/documentation/guides/multiple-partitions/, 2026-11-23.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.memory.vectors.errors import IndexRejected
from app.memory.vectors.index import Space

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models


@dataclass(frozen=True)
class Layout:
    """The settings of a new collection. An existing collection keeps its settings.

    :param prefix: of the names of this installation's collections: a-z, 0-9, ``-``.
    :param shards: number of shards; ``None`` leaves it to Qdrant, one for each machine.
    :param replicas: number of machines that store each shard.
    """

    prefix: str = "devenviro"
    shards: int | None = None
    replicas: int = 1


def name_of(layout: Layout, space: Space) -> str:
    """Return the name of a collection, at most 64 characters. Every space has another name."""
    slug = re.sub(r"[^a-z0-9]+", "-", space.model.lower()).strip("-")[:16] or "model"
    digest = hashlib.sha256(space.model.encode()).hexdigest()[:6]
    return f"{layout.prefix}_{slug}-{digest}_{space.dims}"


def make(client: QdrantClient, layout: Layout, space: Space) -> bool:
    """Create the collection and its payload indexes if they do not exist.

    Two processes may do this at the same time: either may create the collection.

    :return: whether the collection is empty. Whether this call created it would be less reliable:
        the answer to the call that did, or its process, may have been lost.
    :raise IndexRejected: a collection with this name exists, but for other vectors.
    """
    name = name_of(layout, space)
    if not client.collection_exists(name):
        _create(client, name, layout, space)
    found = client.get_collection(name)
    vectors = found.config.params.vectors
    if getattr(vectors, "size", None) != space.dims:
        raise IndexRejected(f"the collection {name} was made for other vectors: remove it")
    for field, schema in _indexes().items():
        if field not in found.payload_schema:
            client.create_payload_index(name, field, field_schema=schema, wait=True)
    return client.count(name, exact=True).count == 0


def drop_others(client: QdrantClient, layout: Layout, space: Space) -> None:
    """Drop this installation's collections of other embedders."""
    ours = re.compile(rf"{re.escape(layout.prefix)}_[a-z0-9-]+-[0-9a-f]{{6}}_[0-9]+")
    for found in client.get_collections().collections:
        if ours.fullmatch(found.name) and found.name != name_of(layout, space):
            client.delete_collection(found.name)


def _create(client: QdrantClient, name: str, layout: Layout, space: Space) -> None:
    from qdrant_client import models
    from qdrant_client.http.exceptions import UnexpectedResponse

    try:
        client.create_collection(
            name,
            vectors_config=models.VectorParams(size=space.dims, distance=models.Distance.COSINE),
            shard_number=layout.shards,
            replication_factor=layout.replicas,
            # No graph over the vectors of all users, but one for each user with many vectors:
            # every search is for one user.
            hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
        )
    except UnexpectedResponse as error:
        if error.status_code != 409 and b"already exists" not in error.content:
            raise


def _indexes() -> dict[str, models.KeywordIndexParams | models.IntegerIndexParams]:
    from qdrant_client import models

    keyword, integer = models.KeywordIndexType.KEYWORD, models.IntegerIndexType.INTEGER
    return {
        "user_id": models.KeywordIndexParams(type=keyword, is_tenant=True),
        "agent_id": models.KeywordIndexParams(type=keyword, enable_hnsw=False),
        "run_id": models.KeywordIndexParams(type=keyword, enable_hnsw=False),
        "kind": models.KeywordIndexParams(type=keyword, enable_hnsw=False),
        "tags": models.KeywordIndexParams(type=keyword, enable_hnsw=False),
        "expires_at": models.IntegerIndexParams(type=integer, lookup=False, enable_hnsw=False),
    }
