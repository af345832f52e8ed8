"""What is counted in the transaction that stores an envelope: requests, sessions, users, metrics,
AI calls, releases, items.

    additive.py, buckets.py  the counting kit: declarations, and what follows from them
    declared.py              what is declared
    measuring.py             counts the measures of a batch
    expiry.py                minutes become hours, and go in the end
    row_bounds.py            how many rows a project keeps in all
"""
