"""Texts as vectors, and indexes that find vectors close to another vector.

    embedder        makes vectors of texts
    embedding_api   the embedder behind a URL, as OpenAI's API
    transport       HTTP with a deadline for the whole request
    network         failures of the network in words
    packing         converts vectors to bytes and back
    index           the small interface of all indexes
    exact           the index that needs no service: NumPy over the user's rows

Nothing here is created before the fork: models and clients are loaded on their first use.
"""

import os

# This must be set before NumPy is loaded. Its library would start a thread for each core in each
# process, but the product for one user's vectors takes less than a millisecond.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
