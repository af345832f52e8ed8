"""The index of memories in Qdrant, one machine of it or a cluster.

    index        what :class:`app.memory.vectors.index.Index` asks, as calls of qdrant-client
    collection   how a collection is named, made and checked
    filters      which points a call may see: the one place where a user is told from another
    connection   one client a process, made when it is first used; how it is asked
    transport    a deadline for the whole of a request
    failures     everything that can go wrong, as one of a few errors

qdrant-client takes seconds and 90 MB to import, so that no module here imports it at its top.
"""

from app.memory.vectors.qdrant.collection import Layout
from app.memory.vectors.qdrant.connection import Address
from app.memory.vectors.qdrant.index import QdrantIndex
from config import Config

__all__ = ["Address", "QdrantIndex", "index_of"]


def index_of(config: Config) -> QdrantIndex | None:
    """Return the index that the settings name, ``None`` where they name none."""
    if config.QDRANT_URL is None:
        return None
    return QdrantIndex(
        Address(config.QDRANT_URL, config.QDRANT_API_KEY, config.QDRANT_TIMEOUT_S),
        Layout(
            config.QDRANT_COLLECTION, config.QDRANT_SHARD_NUMBER, config.QDRANT_REPLICATION_FACTOR
        ),
    )
