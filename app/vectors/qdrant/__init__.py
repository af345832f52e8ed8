"""The index of memories in Qdrant, one machine of it or a cluster.

    index        what :class:`app.vectors.index.Index` asks, as calls of qdrant-client
    collection   how a collection is named, made and checked
    filters      which points a call may see: the one place where a user is told from another
    connection   one client a process, made when it is first used; how it is asked
    transport    a deadline for the whole of a request
    failures     everything that can go wrong, as one of a few errors

qdrant-client takes seconds and 90 MB to import, so that no module here imports it at its top.
"""

from app.vectors.qdrant.connection import Address
from app.vectors.qdrant.index import QdrantIndex

__all__ = ["Address", "QdrantIndex"]
