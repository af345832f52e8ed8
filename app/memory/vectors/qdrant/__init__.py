"""The index of memories in Qdrant, on one machine or in a cluster.

    index        implements :class:`app.memory.vectors.index.Index` with qdrant-client
    collection   names, creates and checks collections
    filters      which points a call may see: the only place that separates users
    connection   one client for each process, created on its first use, and its calls
    failures     maps all errors to a few errors of our own

qdrant-client takes seconds and 90 MB to import. So no module here imports it at its top.
"""

from app.memory.vectors.qdrant.collection import Layout
from app.memory.vectors.qdrant.connection import Address
from app.memory.vectors.qdrant.index import QdrantIndex
from config import Config

__all__ = ["Address", "QdrantIndex", "index_of"]


def index_of(config: Config) -> QdrantIndex | None:
    """Return the Qdrant index of the settings, ``None`` if QDRANT_URL is not set."""
    if config.QDRANT_URL is None:
        return None
    return QdrantIndex(
        Address(config.QDRANT_URL, config.QDRANT_API_KEY, config.QDRANT_TIMEOUT_S),
        Layout(
            config.QDRANT_COLLECTION, config.QDRANT_SHARD_NUMBER, config.QDRANT_REPLICATION_FACTOR
        ),
    )
