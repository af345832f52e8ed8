"""How a collection is named, made and checked.

A collection holds the vectors of one embedder; another one gets another collection, and the old one
is dropped when the new one is made. All users share it: the index of ``user_id`` is the tenants'.

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
    """What a new collection is made with; one that exists keeps what it has.

    :param prefix: what the names of this installation's collections begin with: a-z, 0-9, ``-``.
    :param shards: how many pieces; ``None`` leaves it to Qdrant, one for each machine.
    :param replicas: on how many machines each piece lies.
    """

    prefix: str = "devenviro"
    shards: int | None = None
    replicas: int = 1


def name_of(layout: Layout, space: Space) -> str:
    """Return a collection's name, at most 64 characters, another one for every space."""
    slug = re.sub(r"[^a-z0-9]+", "-", space.model.lower()).strip("-")[:16] or "model"
    digest = hashlib.sha256(space.model.encode()).hexdigest()[:6]
    return f"{layout.prefix}_{slug}-{digest}_{space.dims}"


def make(client: QdrantClient, layout: Layout, space: Space) -> bool:
    """Make the collection and its payload indexes where they are not there yet.

    Two processes may do this at once: what the other one made first is as good.

    :return: whether it is empty. Whether this call made it would say less: the answer of the one
        that did may have been lost, or its process.
    :raise IndexRejected: there is one of this name, but for other vectors.
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
    """Drop the collections of this installation that are of other embedders."""
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
            # No graph over everybody's vectors, one for each user who has many: every search is
            # of one user.
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
        "kind": models.KeywordIndexParams(type=keyword, enable_hnsw=False),
        "tags": models.KeywordIndexParams(type=keyword, enable_hnsw=False),
        "expires_at": models.IntegerIndexParams(type=integer, lookup=False, enable_hnsw=False),
    }
