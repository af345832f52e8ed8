"""Confirmation: does Sentry show what it accepted? Its API is asked, event by event.

A 200 only says that Sentry has queued an event. What is behind its door may lose it.

    apis.py      which API is asked about a project: address, organization, token
    choosing.py  delivered events to ask about, from rows of the ledger
    canary.py    a made event, for a project of which nothing was delivered for an hour
    asking.py    which question is next, and what its answer changes
    client.py    the exchange: bounded, and never redirected
    answers.py   what an answer means
    task.py      all of it, in the one process that holds the lease
    reading.py   the results for pages, the API, metrics and alert rules

Nothing of this is done on the way of an event or of its delivery.
"""
