"""What is counted in the transaction that stores an envelope: requests, sessions, users, metrics,
AI calls, releases, items.

    series.py, buckets.py   what all of them count with
    measuring.py            counts the measures of a batch
    expiry.py               minutes become hours, and go in the end
    row_bounds.py           how many rows a project keeps in all
"""
