"""Statistics that the transaction that stores an envelope counts: requests, sessions, users,
metrics, AI calls, releases and items.

    additive.py, buckets.py  the counting kit: declarations and their tables
    declared.py              the list of declarations
    measuring.py             counts the measures of a batch
    expiry.py                sums minutes up to hours, and removes the oldest days
    row_bounds.py            limits the rows that a project keeps in all
"""
