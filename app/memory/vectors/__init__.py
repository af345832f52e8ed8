"""Texts as vectors, and the index that finds those near another one.

    embedder   a text becomes a vector
    packing    a vector becomes bytes, and back
    index      what an index of memories does, behind one small interface
    exact      the index that needs no service: NumPy over the user's own rows

Nothing here is made before the fork: models and clients are loaded when they are first used.
"""

import os

# Before NumPy is loaded: vectors of one user are a product of less than a millisecond, and its
# library would give each process a thread for each core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
